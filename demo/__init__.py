"""The page that recommends inside the browser, and the command that serves it."""
