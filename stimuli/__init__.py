"""What a participant sees: study files, occlusion, trial lists, and the bundle they make."""
