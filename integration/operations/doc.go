// Package operations runs docs/operations.md: the blocks that an operator types, against a
// real MinIO and real daemons. The document has the commands, the tests bring about the
// disasters and look at what comes of them. It has no code of its own.
package operations
