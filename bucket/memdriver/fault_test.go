package memdriver_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scheduler-store/scheduler-store/bucket"
	"github.com/scheduler-store/scheduler-store/bucket/driver"
	"github.com/scheduler-store/scheduler-store/bucket/memdriver"
)

var errOutage = errors.New("outage")

// What each effect does to a creation: what is answered, and whether the object
// is there then.
func TestEffectsOnWrites(t *testing.T) {
	for name, c := range map[string]struct {
		do     memdriver.Effect
		err    error
		landed bool
	}{
		"Fail":        {memdriver.Fail, errOutage, false},
		"Deny":        {memdriver.Deny, driver.ErrDenied, false},
		"LoseReply":   {memdriver.LoseReply, driver.ErrExists, true},
		"LandAndFail": {memdriver.LandAndFail, errOutage, true},
		"LandLater":   {memdriver.LandLater, errOutage, false},
	} {
		ctx, b := t.Context(), memdriver.New()
		rule := b.Inject(memdriver.Fault{Operation: memdriver.Create, Times: 1, Do: c.do, Err: errOutage})
		_, err := b.Create(ctx, "k", []byte("x"))
		if !errors.Is(err, c.err) {
			t.Errorf("%s: answered %v, want %v", name, err, c.err)
		}
		if landed := b.Data("k") != nil; landed != c.landed {
			t.Errorf("%s: landed is %v, want %v", name, landed, c.landed)
		}
		if rule.Hits() != 1 || b.Count(memdriver.Create) != 1 {
			t.Errorf("%s: %d hits of %d requests", name, rule.Hits(), b.Count(memdriver.Create))
		}
		if _, err := b.Create(ctx, "other", nil); err != nil {
			t.Errorf("%s: it went on after the first time: %v", name, err)
		}
	}
}

func TestEffectsOnReplace(t *testing.T) {
	ctx, b := t.Context(), memdriver.New()
	v, _ := b.Create(ctx, "k", []byte("old"))
	b.Inject(memdriver.Fault{Operation: memdriver.Replace, Times: 1, Do: memdriver.LoseReply})
	if _, err := b.Replace(ctx, "k", []byte("new"), v); !errors.Is(err, driver.ErrChanged) || string(b.Data("k")) != "new" {
		t.Fatalf("%v, %q", err, b.Data("k"))
	}
	b.Inject(memdriver.Fault{Operation: memdriver.Replace, Times: 1, Do: memdriver.IgnoreConditions})
	if _, err := b.Replace(ctx, "k", []byte("wrong"), v); err != nil || string(b.Data("k")) != "wrong" {
		t.Fatalf("%v, %q", err, b.Data("k"))
	}
}

// The two layers together: the bucket above recognises its own bytes.
func TestLostReplyIsResolvedAbove(t *testing.T) {
	b := memdriver.New()
	rule := b.Inject(memdriver.Fault{Do: memdriver.LoseReply})
	above := bucket.New(b, "mem://test", "", bucket.Options{})
	v, err := above.Create(t.Context(), "k", []byte("mine"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := above.Replace(t.Context(), "k", []byte("mine too"), v); err != nil {
		t.Fatal(err)
	}
	if _, err := above.Replace(t.Context(), "k", []byte("late"), v); !errors.Is(err, bucket.ErrChanged) {
		t.Fatal(err)
	}
	if rule.Hits() != 3 {
		t.Errorf("it happened to %d requests, and there were 3 writes", rule.Hits())
	}
}

func TestStoreThatIgnoresConditionsIsFoundOut(t *testing.T) {
	for _, op := range []memdriver.Operation{memdriver.Create, memdriver.Replace, memdriver.Any} {
		b := memdriver.New()
		above := bucket.New(b, "mem://test", "", bucket.Options{})
		v, err := above.Create(t.Context(), "k", []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		object := bucket.Object{Data: []byte("x"), Version: v}
		if err := above.CheckConditions(t.Context(), "k", object); err != nil {
			t.Fatal(err)
		}
		b.Inject(memdriver.Fault{Operation: op, Do: memdriver.IgnoreConditions})
		if err := above.CheckConditions(t.Context(), "k", object); !errors.Is(err, bucket.ErrConditionsIgnored) {
			t.Errorf("operation %q: %v", op, err)
		}
	}
}

func TestLateWritesKeepTheirConditions(t *testing.T) {
	ctx, b := t.Context(), memdriver.New()
	v, _ := b.Create(ctx, "changed", []byte("1"))
	b.Put("deleted", nil)
	b.Inject(memdriver.Fault{Do: memdriver.LandLater, Times: 5})
	data := []byte("late")
	for _, key := range []string{"free", "taken"} {
		if _, err := b.Create(ctx, key, data); !errors.Is(err, memdriver.ErrInjected) {
			t.Fatal(err)
		}
	}
	data[0] = 'x' // the request has left already
	for _, body := range []string{"2", "3"} {
		if _, err := b.Replace(ctx, "changed", []byte(body), v); !errors.Is(err, memdriver.ErrInjected) {
			t.Fatal(err)
		}
	}
	if err := b.Delete(ctx, "deleted"); !errors.Is(err, memdriver.ErrInjected) {
		t.Fatal(err)
	}
	if _, err := b.Create(ctx, "taken", []byte("first")); err != nil {
		t.Fatal(err)
	}
	if got := b.Keys(); !slices.Equal(got, []string{"changed", "deleted", "taken"}) {
		t.Fatalf("before: %v", got)
	}
	b.Release()
	if got := b.Keys(); !slices.Equal(got, []string{"changed", "free", "taken"}) {
		t.Fatalf("after: %v", got)
	}
	for key, want := range map[string]string{"free": "late", "taken": "first", "changed": "2"} {
		if got := string(b.Data(key)); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	b.Remove("free")
	if b.Release(); b.Data("free") != nil {
		t.Error("it landed twice")
	}
}

func TestEffectsOnReads(t *testing.T) {
	ctx, b := t.Context(), memdriver.New()
	b.Put("a", []byte("data"))
	b.Put("b", []byte("data"))
	corrupt := b.Inject(memdriver.Fault{Key: memdriver.Is("a"), Do: memdriver.Corrupt})
	if got, _, err := b.Get(ctx, "a"); string(got) == "data" || len(got) != 4 || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if got, err := b.GetRange(ctx, "a", 0, 1); string(got) == "d" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if got, _, err := b.Get(ctx, "b"); string(got) != "data" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	corrupt.Stop()
	if got, _, _ := b.Get(ctx, "a"); string(got) != "data" {
		t.Errorf("the object itself is damaged: %q", got)
	}
	b.Inject(memdriver.Fault{Operation: memdriver.List, Key: memdriver.Is("a"), Times: 1, Do: memdriver.HideFromList})
	for _, want := range [][]string{{"b"}, {"a", "b"}} {
		if got := list(t, b, "", ""); !slices.Equal(got, want) {
			t.Errorf("listed %v, want %v", got, want)
		}
	}
	b.Inject(memdriver.Fault{Do: memdriver.Fail})
	for _, err := range b.List(ctx, "", "") {
		if !errors.Is(err, memdriver.ErrInjected) {
			t.Errorf("listing: %v", err)
		}
	}
	b.Heal()
	if _, _, err := b.Get(ctx, "a"); err != nil {
		t.Error(err)
	}
}

func TestRulesChooseRequests(t *testing.T) {
	ctx, b := t.Context(), memdriver.New()
	rule := b.Inject(memdriver.Fault{
		Operation: memdriver.Create, Key: memdriver.Under("log/"), Skip: 1, Times: 2, Do: memdriver.Fail,
	})
	_, _, _ = b.Get(ctx, "log/x")
	var failed []string
	for _, key := range []string{"a", "log/1", "b", "log/2", "log/3", "log/4"} {
		if _, err := b.Create(ctx, key, nil); err != nil {
			failed = append(failed, key)
		}
	}
	if !slices.Equal(failed, []string{"log/2", "log/3"}) || rule.Hits() != 2 {
		t.Fatalf("failed: %v, hits %d", failed, rule.Hits())
	}
	if n := b.CountOf(memdriver.Create, memdriver.Ending("4")); n != 1 || b.Count(memdriver.Any) != 7 {
		t.Fatalf("counted %d and %d", n, b.Count(memdriver.Any))
	}
}

func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memdriver.New()
		try := func(do memdriver.Effect, key string, patience time.Duration) (time.Duration, error) {
			b.Heal()
			b.Inject(memdriver.Fault{Do: do})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			start := time.Now()
			_, err := b.Create(ctx, key, []byte{})
			return time.Since(start), err
		}
		for _, c := range []struct {
			key      string
			do       memdriver.Effect
			patience time.Duration
			waited   time.Duration
			failed   bool
			landed   bool
		}{
			{"a", memdriver.Delay(time.Second), 2 * time.Second, time.Second, false, true},
			{"b", memdriver.Delay(3 * time.Second), 2 * time.Second, 2 * time.Second, true, false},
			{"c", memdriver.DelayReply(time.Second), 2 * time.Second, time.Second, false, true},
			{"d", memdriver.DelayReply(3 * time.Second), 2 * time.Second, 2 * time.Second, true, true},
			{"e", memdriver.Block, 2 * time.Second, 2 * time.Second, true, false},
		} {
			waited, err := try(c.do, c.key, c.patience)
			if waited != c.waited || (err != nil) != c.failed || err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: waited %v, %v", c.key, waited, err)
			}
			if landed := b.Data(c.key) != nil; landed != c.landed {
				t.Errorf("%s: landed is %v", c.key, landed)
			}
		}
	})
}

func TestTheTestIsCalledAndOtherFaultsFollow(t *testing.T) {
	ctx, b := t.Context(), memdriver.New()
	var there []bool
	b.Inject(memdriver.Fault{Do: memdriver.Before(func(key string) { there = append(there, b.Data(key) != nil) })})
	b.Inject(memdriver.Fault{Do: memdriver.After(func(key string) { there = append(there, b.Data(key) != nil) })})
	b.Inject(memdriver.Fault{Do: memdriver.LandAndFail})
	if _, err := b.Create(ctx, "k", []byte{}); !errors.Is(err, memdriver.ErrInjected) {
		t.Fatal(err)
	}
	if !slices.Equal(there, []bool{false, true}) {
		t.Fatalf("the object was there: %v", there)
	}
}

func TestFaultsThatCantHappenAreRefused(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("a listing can't lose its reply")
		}
	}()
	memdriver.New().Inject(memdriver.Fault{Operation: memdriver.List, Do: memdriver.LoseReply})
}
