"""What one sees. The window itself comes with the next milestone; `stillroom` without arguments says so."""
