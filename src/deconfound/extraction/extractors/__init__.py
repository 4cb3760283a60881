"""One module per extractor; the module's name is the extractor's."""
