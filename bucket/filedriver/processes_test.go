package filedriver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/filedriver"
)

// The tests here start this test binary again, as other processes that use the
// same directory. What such a process does, and where, is in its environment.
const (
	roleVariable      = "FILEDRIVER_TEST_ROLE"
	directoryVariable = "FILEDRIVER_TEST_DIRECTORY"
	nameVariable      = "FILEDRIVER_TEST_NAME"
)

func TestMain(m *testing.M) {
	roles := map[string]func(context.Context, *bucket.Bucket, string) error{
		"race": raceRole, "count": countRole, "write": writeRole,
	}
	role, ok := roles[os.Getenv(roleVariable)]
	if !ok {
		os.Exit(m.Run())
	}
	d, err := filedriver.Open(os.Getenv(directoryVariable))
	if err == nil {
		err = role(context.Background(), bucket.New(d, "test", "", bucket.Options{}), os.Getenv(nameVariable))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func process(t *testing.T, role, directory, name string) *exec.Cmd {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), roleVariable+"="+role, directoryVariable+"="+directory, nameVariable+"="+name)
	command.Stderr = os.Stderr
	return command
}

const (
	processes   = 4
	contested   = 500
	increments  = 100
	acknowledge = 60
)

// raceRole creates the same keys as the others, and prints those it won.
func raceRole(ctx context.Context, b *bucket.Bucket, name string) error {
	for i := range contested {
		key := fmt.Sprintf("log/%d/%d", i%10, i)
		_, err := b.Create(ctx, key, []byte(name))
		switch {
		case err == nil:
			fmt.Println(key)
		case !errors.Is(err, bucket.ErrExists):
			return err
		}
	}
	return nil
}

func TestProcessesRaceToCreate(t *testing.T) {
	directory := t.TempDir()
	outputs := make([]strings.Builder, processes)
	commands := make([]*exec.Cmd, processes)
	for i := range commands {
		commands[i] = process(t, "race", directory, strconv.Itoa(i))
		commands[i].Stdout = &outputs[i]
		if err := commands[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	winners := map[string]string{}
	for i, command := range commands {
		if err := command.Wait(); err != nil {
			t.Fatal(err)
		}
		for key := range strings.FieldsSeq(outputs[i].String()) {
			if other, taken := winners[key]; taken {
				t.Errorf("%s was won by %s and %d", key, other, i)
			}
			winners[key] = strconv.Itoa(i)
		}
	}
	if len(winners) != contested {
		t.Errorf("%d of %d keys were won", len(winners), contested)
	}
	b := openRoot(t, directory)
	for key, winner := range winners {
		object, err := b.Get(t.Context(), key)
		if err != nil || string(object.Data) != winner {
			t.Fatalf("%s was won by %s and holds %q, %v", key, winner, object.Data, err)
		}
	}
}

// countRole increments a counter by compare-and-swap.
func countRole(ctx context.Context, b *bucket.Bucket, name string) error {
	for i := 0; i < increments; {
		object, err := b.Get(ctx, "counter")
		if err != nil {
			return err
		}
		text, _, _ := strings.Cut(string(object.Data), " ")
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		_, err = b.Replace(ctx, "counter", fmt.Appendf(nil, "%d by %s, its %d", n+1, name, i), object.Version)
		if err == nil {
			i++
		} else if !errors.Is(err, bucket.ErrChanged) {
			return err
		}
	}
	return nil
}

func TestProcessesCountTogether(t *testing.T) {
	directory := t.TempDir()
	b := openRoot(t, directory)
	if _, err := b.Create(t.Context(), "counter", []byte("0")); err != nil {
		t.Fatal(err)
	}
	commands := make([]*exec.Cmd, processes)
	for i := range commands {
		commands[i] = process(t, "count", directory, strconv.Itoa(i))
		if err := commands[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range commands {
		if err := command.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	object, err := b.Get(t.Context(), "counter")
	if err != nil || !strings.HasPrefix(string(object.Data), fmt.Sprintf("%d ", processes*increments)) {
		t.Fatalf("counted to %q, %v; want %d", object.Data, err, processes*increments)
	}
}

// writeRole creates and replaces for ever, and prints what was acknowledged.
func writeRole(ctx context.Context, b *bucket.Bucket, name string) error {
	version, err := b.Create(ctx, "lease-"+name, []byte("0"))
	for i := 0; err == nil; i++ {
		key := fmt.Sprintf("log/%s/%d", name, i)
		if _, err = b.Create(ctx, key, whole(key)); err != nil {
			break
		}
		fmt.Println(key)
		version, err = b.Replace(ctx, "lease-"+name, []byte(strconv.Itoa(i+1)), version)
	}
	return err
}

// whole is an object that shows if a part of it is missing.
func whole(key string) []byte { return []byte(strings.Repeat(key+"\n", 2000) + "end") }

func TestAProcessThatIsKilledDoesNoHarm(t *testing.T) {
	directory := t.TempDir()
	for round := range 3 {
		name := strconv.Itoa(round)
		command := process(t, "write", directory, name)
		output, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		var acknowledged []string
		lines := bufio.NewScanner(output)
		for lines.Scan() {
			if acknowledged = append(acknowledged, lines.Text()); len(acknowledged) == acknowledge {
				_ = command.Process.Kill()
			}
		}
		_ = command.Wait()

		b := openRoot(t, directory)
		for _, key := range acknowledged {
			if _, err := b.Get(t.Context(), key); err != nil {
				t.Fatalf("%s was acknowledged: %v", key, err)
			}
		}
		for info, err := range b.List(t.Context(), "log/"+name+"/", "") {
			if err != nil {
				t.Fatal(err)
			}
			object, err := b.Get(t.Context(), info.Key)
			if err != nil || string(object.Data) != string(whole(info.Key)) {
				t.Fatalf("%s holds %d bytes, %v", info.Key, len(object.Data), err)
			}
		}
		object, err := b.Get(t.Context(), "lease-"+name) // whose lock died with its holder
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Replace(t.Context(), "lease-"+name, []byte("next"), object.Version); err != nil {
			t.Fatal(err)
		}
	}
}
