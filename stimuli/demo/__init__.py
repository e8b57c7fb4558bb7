"""An embedded world to run the whole toolkit in: photographs with known answers, networks."""
