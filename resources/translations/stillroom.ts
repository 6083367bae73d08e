<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1">
<context>
    <name></name>
    <message>
        <source>The data folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose a folder where Stillroom may keep its runs, or close it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose a folder…</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>AboutDialog</name>
    <message>
        <source>About Stillroom</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Include paths and names of mine</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy report</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Close</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Distill language models on your own workstation. Nothing leaves it unless you ask.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It rests on these libraries:</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Without this, your folder becomes ~ and your and your computer&apos;s names go.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stillroom&apos;s icon, a pot still</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Version %s, licence %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Libraries and their licences</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Library</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Version</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Licence</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>not stated</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The report is being gathered.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Gathering the report…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copied %d lines, with paths and names. Read them before you send them.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copied %d lines. Your folder, your name and your computer&apos;s name are taken out.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>AmountEdit</name>
    <message>
        <source>%s is no number.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>BottomBar</name>
    <message>
        <source>What is running</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Progress</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing is running.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s waits for a free device</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d waiting</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>finished</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>stopped</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>failed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>starting</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>stopping</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>step %s/%s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s tok/s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s left</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s and %d more</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Saves a checkpoint that the run can be resumed from, and ends it</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>ClosingQuestion</name>
    <message>
        <source>Close Stillroom</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A run is alive.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d runs are alive.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Another waits.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d more wait.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>They need no window: kept running, they go on, those that wait start in their turn, and the window finds them when it opens again. Stopped, each saves a checkpoint first, those that wait leave the queue, and all can be resumed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Keep running</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop and keep</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Always do this (Settings can change it)</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>CommandPalette</name>
    <message>
        <source>Commands</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What do you want to do?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Search commands</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>CurvesPanel</name>
    <message>
        <source>by steps</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>by tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>by time</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>by FLOPs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What the x axis counts</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Total</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cross-entropy</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Distillation</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Part of the loss</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Bits per byte</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Perplexity</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Agreement with the teacher</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Held-out figure</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Log</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Loss, figures, learning rate and gradient norm on a log scale</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>More plots</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>More plots: learning rate and gradient norm</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Reset zoom</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Reset zoom: show all and follow (0)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Export</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Export: save the plots or their points</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Picture (PNG)…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Drawing (SVG)…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>All points (CSV)…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Smoothing</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Smoothing: exponential moving average; the raw line stays visible under it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Loss</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>nats per token</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Held-out text</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Throughput</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>tokens per second</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Memory</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Learning rate</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Gradient norm</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Teacher</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Total, held out</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>CE, held out</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>KD, held out</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Student</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The FLOPs of %s are not known: its plan doesn&apos;t say how many a token takes.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>by FLOPs (not known)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No run is chosen.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Reading the journal…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It ended before there was anything to draw here.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The loss appears here after the first step.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The figures on held-out text appear here after the first evaluation.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tokens per second appear here after the first steps.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The memory in use appears here after the first step.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The learning rate appears here after the first step.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The gradient norm appears here after the first step.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Held-out loss</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Step %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s FLOPs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Newest</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>checkpoint</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>resumed here</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Points without a value (× on the axis):</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Points without a value or not above zero, which a log scale can&apos;t show (× on the axis):</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>; and %s more lines</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Pictures (*.png)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Drawings (*.svg)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tables (*.csv)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>curves</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>DataCard</name>
    <message>
        <source>Drop text files or folders here (plain text, Markdown, JSON lines)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Text to train on</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Use the sample&apos;s stories</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Budget in tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Budget: tokens to train on</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Back to the default</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Line that parts documents</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>By default %s where there are such lines; else a file is one document.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>More about the text</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>By default %d for each parameter of the student.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>default</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d tokens for each parameter</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Chinchilla</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Compute-optimal without a teacher: %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>text once</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>About %s tokens in the text</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Beyond about %s tokens this student is under %s of the best size for its compute; without a teacher a model of that size takes %s more compute to reach the same loss, and more and more. Source: %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Harm&apos;s law</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s by default: %s.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This reads the text about %s times.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This reads about %s of the text.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s of text, about %s tokens at %d bytes each.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>At least %d tokens are needed.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>Detail</name>
    <message>
        <source>The picked model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Looking up its files, lineage and runs…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It can&apos;t be used</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Mind</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Parameters</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Without embeddings</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s, %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>unknown precision</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Weights</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Architecture</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Quantized</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Context</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Adapter of</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Source</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>unknown</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Size</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d of %d</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s, %d for keys and values</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Layers</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Width</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Heads</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Neurons a layer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Vocabulary</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>shared with the embedding</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>of its own</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Output layer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Shape</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Unknown: %s.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>it can&apos;t be read</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tokenizer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Entries</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Begins with</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ends with</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Padding</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source> and %d more</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Special tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Same as</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>no other model here</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Bits per byte</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Perplexity</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cross-entropy, nats a token</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Distance from its teacher</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Agrees with its teacher</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>On the held-out text of the run that made it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Scores</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It took part in no run yet.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>and %d older ones</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>taught in it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>learnt in it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>was made by it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>waiting</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>running</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>stopping</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>stopped</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>finished</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>failed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>crashed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Made by run %s, which is not in this data folder.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>its student</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Lineage</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>unknown size</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Learnt from %s (%s), which is not at hand.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>its teacher, %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s on disk</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>and %d more; %s on disk</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The folder can&apos;t be read: %s.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Files</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>DeviceCard</name>
    <message>
        <source>Automatic</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Where it runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s (not on this machine)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s free of %s</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>EstimatePanel</name>
    <message>
        <source>Measure</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Runs a few real steps on this machine, so that the time rests on more than arithmetic.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s tokens/s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s (from %s to %s)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s of disk (from %s to %s)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Assumed: %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Measured over %d steps: %s tokens/s, %s of memory at the most.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A few real steps on this machine make the time more certain.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop measuring</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>FailureCard</name>
    <message>
        <source>Details of the failure</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Details</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Resume</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy report</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It was at step %s.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>starting</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It crashed in the phase “%s” at step %s: its process is gone and said nothing.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing was saved yet. “Resume” starts it again; the log may say more.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The checkpoint of step %s is whole, and “Resume” goes on from there; the log may say more.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>FileList</name>
    <message>
        <source>Add files…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add a folder…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Remove</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add files</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add a folder</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>LawChart</name>
    <message>
        <source>The law of capacity gap: teacher size against student size</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s teaches %s, %s times its size: </source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Published, 3B student, %s: mean of %s, in per cent. %s.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Your run %s. </source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source> It has another tokenizer than the student.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Click to make the student %s.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>How big shall the student be?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Click on the chart, or write a size.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A student of %s learns best from a teacher of about %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Anywhere from %s to %s. </source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Looking for models on this machine…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No model on this machine yet: open a model folder to see it here.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Click on a dot to choose a teacher.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Models at hand: %d. </source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Runs of your own: %d.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Left and right change the student, up and down choose the teacher.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>model at hand</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>another tokenizer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>your runs (%d of %d in sight)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>your runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>published 3B students with their score</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>LawPanel</name>
    <message>
        <source>The law is being drawn…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>More about this</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A second opinion. %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Your own law. %s</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>LawPlane</name>
    <message>
        <source>Student size</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Teacher size</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>2–3.33 times, extrapolated</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>2–3.33 times</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>LineageView</name>
    <message>
        <source>Lineage of the run</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Looking for teachers and students…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing is known above or below this run yet.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s parameters</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%.3f bits/byte</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>not on this machine</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Teacher</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Student</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This run</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Evaluation</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Run</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>LogView</name>
    <message>
        <source>Log of the engine</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Follow</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Keep the end in sight as lines come</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Reading the log…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>… the beginning is left out; the file has it all
</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The engine has printed nothing.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>Measuring</name>
    <message>
        <source>Preparing the measurement…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ending the measurement…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The measurement ended early (%s). %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The measurement gave no speed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Try it again.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Measuring a few steps…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Before the measurement: %s…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>starting the engine</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The measurement&apos;s run was removed meanwhile.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>MemoryBar</name>
    <message>
        <source>Other programs hold %s of the device&apos;s %s (hatched).</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What the run takes of the device&apos;s memory will stand here, part by part.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s of %s free%s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s%s do not fit: %s more than the %s that are free</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>: it may not fit</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>MessageBar</name>
    <message>
        <source>Message</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy report</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Close the message</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>ModelTable</name>
    <message>
        <source>Name</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Parameters</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Architecture</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Precision</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Disk</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tokenizer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Source</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Bits/byte</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Models with the same letter give the same ids to text: a student can learn from its like.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>On the held-out text of the run that made the model; lower is better.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The weight files.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s parameters, %s without embeddings</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s, can&apos;t be used: %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>unknown</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>ModelView</name>
    <message>
        <source>Models</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Made here</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>ModelsPage</name>
    <message>
        <source>Add a folder…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Look again</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Pick a model to see what it is made of.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Try again</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Models</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Filter by name, source, precision…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Filter models</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Looking for models…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No models yet.
Add a folder that holds a model (config.json with .safetensors files), or drop it here.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No model has all these words.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add a folder of models</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Added %s.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Added %d models.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Drop a folder of models anywhere on this page to add it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Look for models again</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Use as teacher</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Use as student</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy path</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Forget</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete from disk…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No model is picked.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It can&apos;t be used: %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>An adapter can&apos;t teach by itself: it works on top of its base model.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Quantized weights can&apos;t be trained.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>An adapter can&apos;t be a student by itself.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Only what you added can be forgotten.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Its folder is still being looked up.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The folder can&apos;t be read: %s.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The sample belongs to the program and stays.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It lies in the Hub cache, which other programs share: delete it there (hf cache rm).</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It isn&apos;t known where it comes from, so it is left alone.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It is a link to another place: delete it in a file manager.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It lies outside the folders that you added or that runs made.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The run %s is using it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Its folder holds more than a model (%s): delete it in a file manager.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No file manager opened %s.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copied the path.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>MoreFields</name>
    <message>
        <source>The run</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The text</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The optimizer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What is kept</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Others</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Name of the run</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Also write the student to</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Seed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Precision</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Precision of the student&apos;s file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Gradient checkpointing</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Share the device</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Run the model&apos;s own code</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Sequence length</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Held-out tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Calibration blocks</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Prompt of the samples</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Learning rate</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Schedule</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tokens in a step</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Micro-batch</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Warm-up</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Weight decay</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Gradient clipping</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Steps between evaluations</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Steps between checkpoints</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Checkpoints kept</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Steps between points</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Yes</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>By default %s.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s: %s.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>MoreSettings</name>
    <message>
        <source>More settings</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>Notices</name>
    <message>
        <source>Warning</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Notice</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>Notifier</name>
    <message>
        <source>%s has finished.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s has failed. %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s ended without a word; it can be resumed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>ObjectiveCard</name>
    <message>
        <source>Balanced</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Follow the teacher</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Text only</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Custom</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What the student learns from</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Weight of the text (a)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Temperature (τ)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Write a number.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Half from the text, half from the teacher&apos;s answers, as MiniMA did. A good start.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A tenth from the text, the rest from the teacher&apos;s answers: for a teacher that knows the text well.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The same student without the teacher&apos;s guidance: the control run that shows what the teacher is worth.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Loss = a·CE + (1 − a)·τ²·KL(teacher ‖ student).</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>Overview</name>
    <message>
        <source>Overview of the run</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d lines of its journal can&apos;t be read and are left out: somebody edited the file, or a disk failed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d lines of its journal come from another version of Stillroom and are kept, but not shown.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>PairLines</name>
    <message>
        <source>Good</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Mind</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>In the way</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Not known</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>Picture</name>
    <message>
        <source>A large teacher, an arrow, a small student</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Teacher, 2.5 times the size</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Student</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>PlanForm</name>
    <message>
        <source>Teacher</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Student</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Data · budget</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Objective</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Device</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>PlanPage</name>
    <message>
        <source>Plan a student</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open recipe…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save recipe…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Planning…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The law</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>On this machine</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Start what the plan says</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open a teacher&apos;s folder…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Measure the speed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open a model folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d models were found; %s teaches.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ctrl+Return</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Starting…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Planning, then starting…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Looking for models…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Mend 1 problem first</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Mend %d problems first</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add to the queue (%d before it)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The run is being started.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The plan is not made yet.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A measurement needs a plan without problems.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open a recipe</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Recipes (*.json)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A recipe needs a student and text. Mend what stands in red first.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save the recipe</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The recipe is in %s.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s holds no model (a folder with config.json and safetensors files) and no text.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>not a plain file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s (%s) is no model folder, no text and no recipe, so nothing was done with it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Train %s without a teacher on %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Distill %s → %s on %s</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>Plot</name>
    <message>
        <source>step %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s FLOPs</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>Rail</name>
    <message>
        <source>Pages</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Help</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>ReadOut</name>
    <message>
        <source>Values of all lines</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>RecipeView</name>
    <message>
        <source>Setting</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Value</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Recipe of the run</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save recipe…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>There is no recipe that can be read.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>As it is in the file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Asked for</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Left as it comes</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Save recipe</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Recipes (*.json)</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>Removal</name>
    <message>
        <source>Forgot %s; its files stay.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Forgot %s with its %d models; the files stay.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Undo</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Frees %s: %d files in %s.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The folder goes to the trash of your desktop.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete %s from disk?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>These runs could not go on without it: %s.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The run that made it stays, without its model.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>These learnt from it and stay usable: %s.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s is in the trash of your desktop.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The trash did not take %s: this disk may have none.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Deleting it for good frees %s and can&apos;t be undone.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete %s for good?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete for good</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s is deleted; %s are free.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stillroom</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Keep</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>ResultsCard</name>
    <message>
        <source>Open the student&apos;s folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Use as a teacher</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Results</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>So far</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Before</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>After</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Teacher</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>At first</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Now</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Model</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>RunActions</name>
    <message>
        <source>Stop and keep</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Resume</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Run again</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Duplicate and edit</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Discard…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Rename</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tags…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy id</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Pick a run first.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Pick one run alone.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It is stopping already.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It has ended already.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It has finished. “Run again” starts another like it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It waits in the queue.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It is alive.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It is not alive. “Delete” moves it to the trash.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A run that is alive can&apos;t be deleted. Stop it first, or discard it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Its recipe can&apos;t be read.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Only a distillation can be edited on the Plan page.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d runs wait to go on.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>One run waits to go on.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The new student is not copied to %s, for there is one already.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d new runs wait to start.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>One new run waits to start.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Discard “%s”?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Discard %d runs?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Discard</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It ends at once, and its checkpoints and curves are removed. This can&apos;t be undone.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Step %s of %s is done.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>“Stop and keep” saves a checkpoint instead, and it can go on later.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Discarding “%s” …</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Discarded.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>“%s” had ended meanwhile; it is in the trash.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d runs had ended meanwhile; they are in the trash.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete “%s”?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete %d runs?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Its student is used by %s, which can&apos;t be resumed or run again without it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Move to the trash</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>“%s” is in the trash.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d runs are in the trash.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d runs are back.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>One run is back.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No program opens folders here. The path %s is copied.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copied: %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>And %d more.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Undo</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>RunDetail</name>
    <message>
        <source>Untick all</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>About the run</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Overview</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Samples</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Recipe</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Lineage</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Log</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The recipe is in %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The log is copied.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The curves are those of the ticked run.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The curves are those of the %d ticked runs.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The report is on the clipboard. It holds no personal paths.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>RunHeader</name>
    <message>
        <source>Progress of the run</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>it starts when a device is free</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>reading its journal…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>still reading its journal…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop and keep</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Take out of the queue</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Resume</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Run again</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>RunsModel</name>
    <message>
        <source>Ticked</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tick runs to lay their curves over one another</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>State</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Name</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Teacher → student</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Their sizes, in parameters</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Progress</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Steps done of the steps planned</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Loss</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Total training loss of the last step, in nats a token</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Curve</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Total training loss over the steps</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Bits/byte</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Of the student on held-out text at its last evaluation; less is better</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Device</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Age</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Since the run was made</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tags</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s on disk</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>step %d of %d</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>step %d</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s left</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>ticked</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>not ticked</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>no curve yet</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>loss from %.3f to %.3f</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>none</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>RunsPage</name>
    <message>
        <source>Runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Filter by words, state:failed, tag:…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Filter the runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ctrl+F. Words of name, state, teacher or tags; state:failed, tag:night, device:cpu</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>More actions</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Sort runs as they queue</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Untick all runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open the trash…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d of %d</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No run has “%s”.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Clear the filter</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The runs can&apos;t be read.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Look again</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Looking for runs…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No runs yet.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A run distills a student from a teacher. Its curves, samples and results appear here.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Distill the sample</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Plan a student</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Move up in the queue</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Move down in the queue</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Pick a run first.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It does not wait in the queue.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No run is ticked.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>RunsTable</name>
    <message>
        <source>Runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tags, parted by commas</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Name of the run</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>SamplesView</name>
    <message>
        <source>Samples of what the student writes</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What the student writes appears here at each evaluation.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Step %s</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>SettingsPage</name>
    <message>
        <source>As the system</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Light</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Dark</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ask</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Keep them running</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop and keep them</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tell me when a run ends or fails</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy path</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Use another folder…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Empty trash…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy command</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy report</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Settings</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Theme</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>As the system: it follows the desktop, by day and by night.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Language</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Look</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>English.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>English; there is no translation into %s yet. Numbers are written the same way everywhere.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>When the window closes and runs are alive</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Runs don&apos;t need the window. Stopped ones keep a checkpoint and resume where they were.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Everything that Stillroom writes</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Runs, their students, the index of models and these settings. Models you add stay where they are.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Data folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Devices</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Keys</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Versions</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Changes hold until the window closes: window.ini in the data folder can&apos;t be written.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Looking for devices…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Measuring the disk use…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The trash is being measured.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d runs and their students</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Checkpoints</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Trash</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The sample&apos;s stories</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Index of runs and models</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s in all</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s, %s free on this disk</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The trash is empty.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s (%s)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s of %s free</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d cores</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s: %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>bf16</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>no bf16</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Memory in use on %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stillroom %s, Python %s, Qt %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No file manager opened %s.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copied.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose another data folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>That is the folder in use.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s can&apos;t be written to. Choose a folder you may write to.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing is changed yet. To take your runs along, stop them, close Stillroom and copy everything from the folder above into the new one. Then start Stillroom with this command, or set STILLROOM_HOME for good:</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stillroom</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Empty the trash of deleted runs?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This frees %s. The runs in it can&apos;t be brought back afterwards.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Empty trash</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Keep</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The trash is being emptied.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The trash is empty; %s are free again.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The report is being gathered.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copied the report. Your folder, your name and your computer&apos;s name are taken out.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open the data folder</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>ShapeDrawing</name>
    <message>
        <source>1 layer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d layers</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>1 head</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d heads</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d wide</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d layers, %d wide, %d neurons, %d heads (%d for keys and values), %d tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The shapes of teacher and student will be drawn here.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Its shape follows from its size.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Teacher</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Student</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>ShapeEditor</name>
    <message>
        <source>Proposed shape</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Back to the proposal</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Change the shape</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Layers</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Width</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Heads</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Key-value heads</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Neurons</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>By hand: %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Chosen by hand.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s parameters</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s · %d layers · %d wide · %s heads · %d neurons</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>StudentCard</name>
    <message>
        <source>Prune by activations</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Prune by gradients</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Inherit whole layers</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>From scratch</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>How it comes to be</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Keeps the heads, neurons and channels that the teacher&apos;s activations use most (Minitron). Quick, and the usual choice.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Keeps what the loss would miss most, by gradients of masks (MiniMA). Takes more memory and time to build.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Takes the teacher&apos;s first layers whole, all widths kept (Inheritune).</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Begins with random weights: any shape is possible, and the way is the longest.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>TagsDialog</name>
    <message>
        <source>Tags</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Known tags</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>New tags, parted by commas</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Set tags</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>TargetInput</name>
    <message>
        <source>Share</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Size</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Memory</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Speed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What the student must be</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Size of the student</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Precision of the weights</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The precision in which the student will be run.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Folder of the student</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Folder of a model that shall learn on</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose the student&apos;s folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The student must be</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A share of the teacher&apos;s parameters.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A number of parameters.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What its weights may take in memory at a precision.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tokens a second that it writes on this machine.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A model that is there already and learns on.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose a teacher first: a share needs the size of the teacher.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s parameters</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s parameters: %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose the folder of a model, or another way to say the size.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>“%s” is no size. Write a share (0.4x), a size (1.3M), memory (2 GB) or a speed (30 tok/s).</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>TeacherCard</name>
    <message>
        <source>Model that teaches</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open a folder…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A model folder, or a folder of them. Dropping it on this page does the same.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No teacher: plain training</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose a teacher</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Looking for models…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No model is at hand yet. Open a folder that holds config.json and safetensors files.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Not listed because they can&apos;t teach (broken, adapters or quantized): %d. See Models.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>TrashDialog</name>
    <message>
        <source>Trash</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Deleted runs stay here for %d days.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The trash is empty.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Deleted runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Close</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Bring back</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Pick a run first.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>UnitStepper</name>
    <message>
        <source>Less</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>More</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Fewer: %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>More: %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No valid number lies beyond this one.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>WelcomePage</name>
    <message>
        <source>Distill the sample</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open a model folder…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What is this?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Straight to the workbench</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Welcome to Stillroom</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Distill a small language model from a larger one, on this machine.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A built-in teacher, generated stories, a student of 40 % of its size. A few minutes on a CPU, no download.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A folder with config.json and .safetensors files becomes your teacher. Or drop it anywhere here.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing leaves this machine: no account, no telemetry, no download that you did not ask for.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open a model folder</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A teacher, the larger model, reads text and says at each place how likely every next token is. A student, cut from it or built anew, learns to say the same. It is smaller and quicker, and better than if it had read the text alone.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Which teacher? A study finds the best one about 2.5 times its student: a larger one is harder to follow, a smaller one knows too little. Stillroom draws this law for your models, and says where it stops being sure.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>Window</name>
    <message>
        <source>Plan</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Models</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Settings</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Opening…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Writing the sample&apos;s stories and starting the run…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The sample is being distilled: its loss moves in a few seconds. You may close the window; it goes on.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s saves a checkpoint and stops; it can be resumed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Go to Plan</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Go to Models</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Go to Runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open settings</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Distill the sample</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop and keep what runs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Undo</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Search commands</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What is this?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy report</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>About Stillroom</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Close the window</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>nothing to undo</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>nothing is running</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The report is on the clipboard. It holds no personal paths.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Something went wrong in the window: %s</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>_Bar</name>
    <message>
        <source>Free: %s. The thin line shows how far the run may reach: %s.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>_FamilyMark</name>
    <message>
        <source>Family %s, fingerprint %s</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>dropped</name>
    <message>
        <source>a picture</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>a script or program</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>a text or data file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>an archive; unpack it first</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>a file made for running a model, not for training it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>a file of weights that can&apos;t be opened safely</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>a file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>There is nothing at %s any more.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s can&apos;t be read: %s.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s holds no model, two levels down.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s is %s (%s).</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s A model is a folder with config.json and .safetensors files.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>facts</name>
    <message>
        <source>Plan</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Chosen by Stillroom</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Run</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>On disk</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Engine</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Steps</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Training tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>One step</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d × %d blocks of %d = %s tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Student</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%.1f times the student</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Teacher</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Computation</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s FLOPs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s parameters</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Id</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Device</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Made</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Started</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>From start to end</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Attempts</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>step %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Last checkpoint</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Made from run</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Checkpoints</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tokenised text</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Journal and log</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>All of it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Folder</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>models</name>
    <message>
        <source>Added</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Made here</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Hub cache</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Sample</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>broken</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>runs</name>
    <message>
        <source>Waiting</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Running</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stopping</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stopped</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Finished</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Failed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Crashed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>now</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d min</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d h</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d d</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>evaluation</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>measurement</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%d before it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Bits per byte</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Perplexity</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cross-entropy, nats a token</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Distance from the teacher, nats a token</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Agrees with the teacher</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>next</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>step %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s tok/s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>%s left</source>
        <translation type="unfinished"></translation>
    </message>
</context>
</TS>
