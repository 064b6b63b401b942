"""An app whose events are drained by ours and by others: the same three effects on each side."""
