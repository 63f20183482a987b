"""Google Cloud's RLHF pipeline (`rlhf_pipeline`), run here: its parameters and data become a configuration of ours."""
