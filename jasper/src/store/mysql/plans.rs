//! Every statement that looks for rows finds them through an index.
