"""The build of a study as many jobs: an array of a Slurm cluster, or processes of one machine."""
