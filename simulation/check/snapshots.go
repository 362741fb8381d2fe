package check

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
	"github.com/scheduler-store/scheduler-store/durability"
	"github.com/scheduler-store/scheduler-store/persistence/blob"
	"github.com/scheduler-store/scheduler-store/snapshot"
)

// bucketNow is the cell's bucket as it is at one landing after another: with it, it shows
// that what recovery needs is there at every instant.
type bucketNow struct {
	objects *memdriver.Bucket
	bucket  *bucket.Bucket
	has     map[string]bool
	damaged bool
	// manifests are those that are there. One that was the newest when it landed, for the
	// first time, is one to rely on. Any other comes from an old request: what it needs
	// may be gone already, and nobody begins from it.
	manifests map[snapshot.Name]*kept
	landed    map[snapshot.Name]bool // manifests that have ever landed
}

// kept is a manifest that is there; nil if nobody relies on it.
type kept struct {
	parts map[string]bool
}

func newBucketNow(damaged bool) *bucketNow {
	objects := memdriver.New()
	return &bucketNow{objects: objects, bucket: bucket.New(objects, "mem://now", "", bucket.Options{}), has: map[string]bool{}, damaged: damaged,
		manifests: map[snapshot.Name]*kept{}, landed: map[snapshot.Name]bool{}}
}

// land takes a landing, which the ghost has taken already.
func (b *bucketNow) land(ctx context.Context, g *ghost, l *Landing, v *violations) {
	if l.Body == nil {
		b.delete(g, l, v)
		return
	}
	if (b.has[l.Key] || l.Replaced) && immutable(l.Key) && !b.accident(l) {
		v.add("replaced", l.At, "%s landed %s, where an object was already", l.Process, l.Key)
	}
	b.has[l.Key] = true
	b.objects.Put(l.Key, l.Body)
	if name, ok := manifestName(l.Key); ok {
		b.manifests[name] = b.judge(ctx, g, name, l, v)
	}
}

// accident tells whether it is the landing of no process, in a run that has accidents.
func (b *bucketNow) accident(l *Landing) bool { return b.damaged && l.Process == "" }

func immutable(key string) bool {
	for _, prefix := range []string{cellKey, logPrefix, "snapshot/", "restore/"} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// manifestName is the snapshot whose manifest a key is.
func manifestName(key string) (snapshot.Name, bool) {
	folder, ok := strings.CutSuffix(key, "/manifest.json")
	folder, ok2 := strings.CutPrefix(folder, "snapshot/")
	if !ok || !ok2 {
		return snapshot.Name{}, false
	}
	name, err := snapshot.ParseName(folder)
	return name, err == nil
}

// newest is the newest snapshot that is there; false if none is.
func (b *bucketNow) newest() (newest snapshot.Name, found bool) {
	for name := range b.manifests {
		if !found || name.Compare(newest) > 0 {
			newest, found = name, true
		}
	}
	return newest, found
}

// judge checks a snapshot at the instant at which its manifest lands: it is of a state
// of the history, which is durable already, and its parts are all there.
func (b *bucketNow) judge(ctx context.Context, g *ghost, name snapshot.Name, l *Landing, v *violations) *kept {
	if g.log == nil || b.landed[name] {
		return nil // it was judged the first time
	}
	b.landed[name] = true
	// An old one that lands late may find that its parts have been collected; but they
	// have been there.
	from, rely := b.bucket, true
	if newest, found := b.newest(); found && newest.Compare(name) > 0 {
		from, rely = g.log.Bucket(), false
	}
	m, err := snapshot.Read(ctx, from, g.log.Cell().ID, name)
	if err != nil {
		v.add("snapshot", l.At, "%s by %s: %v", l.Key, l.Process, err)
		return nil
	}
	if err := b.judgeState(ctx, g, m, from); err != nil {
		v.add("snapshot", l.At, "%s by %s: %v", l.Key, l.Process, err)
	}
	if !rely {
		return nil
	}
	k := &kept{parts: map[string]bool{}}
	for i := range m.Parts {
		k.parts[m.PartKey(i)] = true
	}
	return k
}

func (b *bucketNow) judgeState(ctx context.Context, g *ghost, m *snapshot.Manifest, from *bucket.Bucket) error {
	if int(m.At.Next) >= len(g.places) {
		return fmt.Errorf("it is as of %v, the history has only come to %v", m.At, g.end().Point)
	}
	if p := g.places[m.At.Next].Point; p != m.At {
		return fmt.Errorf("it is as of %v with hash %s, the history there is %v with hash %s", m.At, m.At.Hash, p, p.Hash)
	}
	s := durability.New(durability.Options{})
	if err := s.Reset(m.At); err != nil {
		return err
	}
	if err := snapshot.Load(ctx, from, g.log.Codec(), m, s, 1); err != nil {
		return err
	}
	s.Loaded(m.At)
	if got, want := RegistersOf(s.View()), g.states[m.At.Transaction]; !maps.Equal(got, want) {
		return fmt.Errorf("it has %s, the state of transaction %d is %s", registersText(got), m.At.Transaction, registersText(want))
	}
	return nil
}

// delete checks that what goes is needed by nobody, whenever a request to delete it
// may have been sent.
func (b *bucketNow) delete(g *ghost, l *Landing, v *violations) {
	there := b.has[l.Key]
	body := b.objects.Data(l.Key)
	delete(b.has, l.Key)
	b.objects.Remove(l.Key)
	name, manifest := manifestName(l.Key)
	if !there || b.accident(l) {
		delete(b.manifests, name)
		return
	}
	switch {
	case l.Key == cellKey:
		v.add("collected", l.At, "%s deleted %s", l.Process, l.Key)
	case manifest:
		if newest, _ := b.newest(); newest == name {
			v.add("collected", l.At, "%s deleted %s, of the newest snapshot", l.Process, l.Key)
		}
		delete(b.manifests, name)
	case strings.HasPrefix(l.Key, logPrefix):
		b.deleteEntry(g, l, body, v)
	}
	for name, k := range b.manifests {
		if k != nil && k.parts[l.Key] {
			v.add("collected", l.At, "%s deleted %s, which snapshot %s needs", l.Process, l.Key, name)
		}
	}
}

// pinned tells whether a snapshot is kept for its own sake: nobody goes on from it, so the
// log behind it may go.
func (b *bucketNow) pinned(name snapshot.Name) bool {
	for _, key := range b.objects.Keys() {
		if strings.HasPrefix(key, "pin/") && bytes.Contains(b.objects.Data(key), []byte(name.String())) {
			return true
		}
	}
	return false
}

// deleteEntry checks the deletion of an object of the log. What is no part of the
// history may go as it likes.
func (b *bucketNow) deleteEntry(g *ghost, l *Landing, body []byte, v *violations) {
	epoch, position, ok := parseKey(l.Key)
	if !ok || int(position)+1 >= len(g.places) || !bytes.Equal(g.first.Data(l.Key), body) {
		return
	}
	e := g.places[position+1].entry
	if e.Epoch != epoch {
		return
	}
	newest, found := b.newest()
	switch {
	case e.Kind == blob.KindSeal:
		v.add("collected", l.At, "%s deleted %s, a seal of the history", l.Process, l.Key)
	case !found || newest.Position < position:
		v.add("collected", l.At, "%s deleted %s, which no snapshot covers", l.Process, l.Key)
	}
	for name, k := range b.manifests {
		if k != nil && name.Position < position && !b.pinned(name) {
			v.add("collected", l.At, "%s deleted %s, while snapshot %s is there, which needs it", l.Process, l.Key, name)
		}
	}
}
