<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1">
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
        <source>They need no window: kept running, they go on, those that wait start in their turn, and the window finds them when it opens again. Stopped, each saves a checkpoint first and can be resumed.</source>
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
        <source>Family</source>
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
        <source>The folder can&apos;t be read: %s.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Files</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>and %d more, %s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Files: %s on disk</source>
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
    <name>Filter</name>
    <message>
        <source>broken</source>
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
    <message numerus="yes">
        <source>%n model(s) at hand, </source>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n run(s) of your own.</source>
        <translation type="unfinished">
            <numerusform></numerusform>
        </translation>
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
        <source>%s is no size. Write a share (0.4x), a size (1.3M), memory (2 GB) or a speed (30 tok/s).</source>
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
    <name>_FamilyMark</name>
    <message>
        <source>Family %s, fingerprint %s</source>
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
        <source>%d %%</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>next</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>number %d</source>
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
