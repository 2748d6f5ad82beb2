"""What commands do, with all that is large: imported when one of them runs."""
