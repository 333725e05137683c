"""What ``mmsapiens benchmark`` measures; its arguments are in the command's module."""
