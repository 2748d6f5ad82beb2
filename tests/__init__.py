"""Quick tests in pure Python; mirrors golden/, hw/, host/ and boards/."""
