"""What people read: tables and figures, made from the files of earlier stages alone."""
