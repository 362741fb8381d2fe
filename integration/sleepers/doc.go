// Package sleepers holds the tests of processes that are stopped with a request in
// their hand and woken when all has gone on without them: another has led, made a
// snapshot, and collected everything that is garbage, with no grace at all. What they
// still do then must not lose or double anything. It has no code of its own.
package sleepers
