"""The demo page, which recommends inside the browser, and the command that serves it."""
