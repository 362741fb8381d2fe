package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/scheduler-store/scheduler-store/schema/api"
)

// Wherever a file ends too soon, that is told, with no panic and nothing left open.
func TestTruncatedFiles(t *testing.T) {
	for name, data := range variants(t, goldenStateOf(t, 3)) {
		for n := range data {
			if n > 20 && n < len(data)-8 && n%(len(data)/70) != 0 {
				continue
			}
			if _, err := read(t, data[:n]); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%s cut to %d of %d bytes: %v", name, n, len(data), err)
			}
		}
		if _, err := read(t, append(slices.Clone(data), 'x')); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s with a byte more: %v", name, err)
		}
	}
}

// zlib's checksum stands at the end: it is looked at.
func TestDamageOfWhatIsCompressedIsFound(t *testing.T) {
	v := variants(t, goldenState(t))
	for _, name := range []string{"a deflated snapshot", "a deflated entry with a snapshot"} {
		data := v[name]
		at := len(data) - 1
		if strings.Contains(name, "entry") {
			at-- // before the stop byte
		}
		data[at] ^= 1
		if _, err := read(t, data); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "checksum") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// mustHex takes hexadecimal digits with spaces between them.
func mustHex(s string) []byte {
	var b []byte
	if _, err := fmt.Sscanf(strings.ReplaceAll(s, " ", ""), "%x", &b); err != nil {
		panic(err)
	}
	return b
}

// Errors name the section, the element and the byte.
func TestMalformedFiles(t *testing.T) {
	host := "0b0001 00000001 61 00" // 9 bytes
	for _, tt := range []struct{ name, data, want string }{
		{"nothing", "", "the file is empty"},
		{"zeros", "0000000000", "does not begin with a field"},
		{"gzip", "1f8b0800", "it is compressed with gzip"},
		{"text", "7b22666f6f", "begins with field 8806 of type 123, as none of Aurora's does"},
		{"one byte", "0a", "does not begin with a field"},
		{"a transaction", "0c0002 00 00", "a transaction, which is a change and no state"},
		{"a frame", "0c0004 0c0001 0800010000000100 00 00", "a frame, which is a piece"},
		{"a noop", "0200030100", "nothing in it"},
		{"cut within a row", "0e0003 0c00000002 " + host + " 0b0001 00000005 6161", "hostAttributes[1]: from byte 17 on: at byte 26: unexpected EOF"},
		{"an oversized string", "0e0003 0c00000001 0b0001 7fffffff 61 00", "hostAttributes[0]: from byte 8 on: at byte 15: a struct of more than the 67108864 bytes allowed"},
		{"a negative string", "0e0003 0c00000001 0b0001 ffffffff 61 00", "hostAttributes[0]: from byte 8 on: at byte 15: a string of -1 bytes"},
		{"a negative set", "0e0004 0cffffffff 00", "tasks: at byte 8: a container of -1 elements"},
		{"a set of strings", "0e0004 0b00000001 00000001 61 00", "tasks: at byte 8: it has elements of type 11, want structs"},
		{"an oversized set", "0e0004 0c7fffffff 00", "tasks[1]: from byte 9 on: at byte 9: unexpected EOF"},
		{"tasks in a list", "0a0001 0000000000000000 0f0004 0c00000000 00", "tasks: at byte 14: it has type 15, want 14"},
		{"a timestamp that is none", "0e0003 0c00000000 0b0001 00000000 00", "timestamp: at byte 11: it has type 11, want 10"},
		{"tasks twice", "0e0004 0c00000000 0e0004 0c00000000 00", "tasks: at byte 11: it comes a second time"},
		{"a section of unknown type", "0e0004 0c00000000 050063 00", "field 99: at byte 11: unknown type 5"},
		{"text that is no UTF-8", "0e0003 0c00000001 0b0001 00000001 ff 00", "hostAttributes[0]: from byte 8 on: in the row: decode HostAttributes: at byte 8: a string of 1 bytes that is not UTF-8"},
		{"a cron job without its job", "0e0005 0c00000001 00 00", "cronJobs[0]: from byte 8 on: it has no jobConfiguration"},
		{"a quota without a role", "0e0008 0c00000001 0c0002 00 00 00", "quotaConfigurations[0]: from byte 8 on: it has no role"},
		{"a quota without a quota", "0e0008 0c00000001 0b0001 00000001 61 00 00", "quotaConfigurations[0]: from byte 8 on: it has no quota"},
		{"no details", "0e000a 0c00000001 00 00", "jobUpdateDetails[0]: from byte 8 on: it has no details.update"},
		{"no update", "0e000a 0c00000001 0c0001 00 00 00", "jobUpdateDetails[0]: from byte 8 on: it has no details.update"},
		{"no key", "0e000a 0c00000001 0c0001 0c0001 00 00 00 00", "it has no details.update.summary.key"},
		{"deep", "0e0003 0c00000001" + strings.Repeat("0c0001", 80), "hostAttributes[0]: from byte 8 on: at byte 203: a value nested more than 64 deep"},
		{"an index beyond the end", "0c0001 00 0f0002 0c00000001 080002 00000000 00 00", "partialTasks[0]: from byte 12 on: DeduplicatedScheduledTask referenced invalid task index 0"},
		{"a negative index", "0c0001 00 0f0002 0c00000001 080002 ffffffff 00 0f0003 0c00000001 00 00", "DeduplicatedScheduledTask referenced invalid task index -1"},
		{"an empty task", "0c0001 00 0f0002 0c00000001 00 0f0003 0c00000001 00 00", "partialTasks[0]: from byte 12 on: it has no partialScheduledTask.assignedTask"},
		{"a bad configuration", "0c0001 00 0f0002 0c00000001 0c0001 0c0001 00 00 00 0f0003 0c00000001 0b0017 00000001 ff 00 00", "taskConfigs[0]: in the row"},
		{"no partial snapshot", "0f0003 0c00000000 00", "there is no partialSnapshot"},
		{"a fault in the partial snapshot", "0c0001 0e0003 0c00000001 0b", "partialSnapshot.hostAttributes[0]: from byte 11 on: at byte 12: unexpected EOF"},
		{"a union with two fields", "0c0006 0c0001 00 00 020003 01 00", "a log entry with a second field, field 3 of type 2"},
		{"a deflated entry that is not", "0b0005 00000001 61 00", "deflatedEntry is not in a zlib container"},
		{"a deflated entry of negative size", "0b0005 ffffffff", "a string of -1 bytes"},
		{"zlib and nothing", "789c", "EOF"},
	} {
		_, err := read(t, mustHex0(tt.data))
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

func mustHex0(s string) []byte {
	if s == "" {
		return nil
	}
	return mustHex(s)
}

func TestDeflatedEntryWithinAnother(t *testing.T) {
	inner := encode(t, &api.LogEntry{DeflatedEntry: deflate(t, encode(t, &api.LogEntry{Snapshot: &api.Snapshot{}}))})
	data := encode(t, &api.LogEntry{DeflatedEntry: deflate(t, inner)})
	if _, err := read(t, data); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "within") {
		t.Error(err)
	}
}

// Trouble with reading is no fault of the file, and the other way round.
func TestTroubleIsNotTakenForDamage(t *testing.T) {
	trouble := errors.New("disk on fire")
	for name, data := range variants(t, goldenStateOf(t, 3)) {
		for _, n := range []int{0, 1, len(data) / 2, len(data)} {
			open := func() (io.ReadCloser, error) {
				return io.NopCloser(io.MultiReader(bytes.NewReader(data[:n]), iotest.ErrReader(trouble))), nil
			}
			var last error
			for _, err := range ReadAurora(open) {
				last = err
			}
			if !errors.Is(last, trouble) || errors.Is(last, ErrMalformed) {
				t.Errorf("%s, after %d bytes: %v", name, n, last)
			}
		}
	}
	for _, err := range ReadAurora(func() (io.ReadCloser, error) { return nil, trouble }) {
		if !errors.Is(err, trouble) || errors.Is(err, ErrMalformed) {
			t.Error(err)
		}
	}
}

// failing fails after some bytes.
type failing struct {
	left int
	err  error
}

func (w *failing) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, w.err
	}
	return len(p), nil
}

func TestWritingThatFailsSaysSo(t *testing.T) {
	view := goldenStateOf(t, 200)
	size := len(write(t, view, nil))
	trouble := errors.New("disk is full")
	for n := range size {
		if n%(size/10) != 0 {
			continue
		}
		if err := WriteAurora(&failing{n, trouble}, view, made, nil, nil); !errors.Is(err, trouble) {
			t.Fatalf("after %d bytes: %v", n, err)
		}
	}
}
