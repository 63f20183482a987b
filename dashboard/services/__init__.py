"""What the pages ask for: plain functions and frames, without Streamlit."""
