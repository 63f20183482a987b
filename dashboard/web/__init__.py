"""Team mode in front of Streamlit: who may send a request at all."""
