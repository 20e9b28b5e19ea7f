"""Reports as people see them: pages as pictures, the page in a browser, the text of tables."""
