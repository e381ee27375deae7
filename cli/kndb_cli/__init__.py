"""The command line. Commands parse, call the library and print; nothing is computed here."""
