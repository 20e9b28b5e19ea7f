"""Files that are whole or not there: temporary names, publishing, and what goes wrong with them."""
