"""What the API takes and gives, one noun per file."""
