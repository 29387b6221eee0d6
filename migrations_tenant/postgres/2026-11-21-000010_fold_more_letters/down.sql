-- Nothing to take back: which letters were folded is not known, and the next save folds anew.
SELECT 1;
