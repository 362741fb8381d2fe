//go:build !linux

package smalldisk

import "testing"

// Disk is a small file system.
type Disk struct{ Path string }

// Mount skips the test: only Linux has a tmpfs.
func Mount(t testing.TB, _, _ int) *Disk {
	t.Helper()
	t.Skip("only Linux has a tmpfs to be mounted")
	return nil
}

// Fill is never called.
func (d *Disk) Fill(int64) (free func()) { return nil }

// FillInodes is never called.
func (d *Disk) FillInodes() (free func()) { return nil }

// ReadOnly is never called.
func (d *Disk) ReadOnly(bool) {}

// Temporary is never called.
func (d *Disk) Temporary() []string { return nil }
