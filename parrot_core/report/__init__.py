"""A run or several as a page: HTML, Markdown and charts."""
