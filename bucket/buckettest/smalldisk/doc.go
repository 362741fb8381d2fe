// Package smalldisk gives tests a file system that is soon full: a real one, in memory.
package smalldisk
