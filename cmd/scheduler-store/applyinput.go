package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/scheduler-store/scheduler-store/schema"
	"github.com/scheduler-store/scheduler-store/schema/api"
)

// maxLine bounds a line of input, in bytes: no transaction may be larger anyway.
const maxLine = 16 << 20

// inputLine is one line of input: a transaction, or why it is none.
type inputLine struct {
	number int // from 1 on
	end    int64
	ops    []*api.Op
	err    error
}

// chunk is some lines that are parsed together. The order of chunks is that of the
// input; parsing them goes on ahead and in parallel.
type chunk struct {
	text   [][]byte
	lines  []inputLine
	parsed chan struct{}
}

const (
	chunkBytes  = 64 << 10 // what is read at once, and parsed together
	chunksAhead = 8        // read and not taken yet
)

// readLines reads transactions, one a line, and hands them to take in order. Blank
// lines are skipped. It ends with the first error of take, or of the input itself,
// which take gets as a line; no line comes after one with an error.
//
// When ctx ends it returns at once, and leaves behind the goroutine that reads if
// that waits for input: no Reader can be woken up.
func readLines(ctx context.Context, input io.Reader, take func(inputLine) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ordered, work := make(chan *chunk, chunksAhead), make(chan *chunk, chunksAhead)
	go func() {
		defer close(ordered)
		defer close(work)
		readChunks(input, func(c *chunk) bool { return send(ctx, work, c) && send(ctx, ordered, c) })
	}()
	var parsers sync.WaitGroup
	defer parsers.Wait()
	defer cancel()
	for range runtime.GOMAXPROCS(0) {
		parsers.Go(func() {
			for c, ok := receive(ctx, work); ok; c, ok = receive(ctx, work) {
				c.parse()
			}
		})
	}
	for {
		c, ok := receive(ctx, ordered)
		if !ok {
			return context.Cause(ctx) // nil at the end of the input
		}
		select {
		case <-c.parsed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for _, line := range c.lines {
			if err := take(line); err != nil {
				return err
			}
		}
	}
}

func send(ctx context.Context, to chan<- *chunk, c *chunk) bool {
	select {
	case to <- c:
		return true
	case <-ctx.Done():
		return false
	}
}

func receive(ctx context.Context, from <-chan *chunk) (*chunk, bool) {
	if ctx.Err() != nil {
		return nil, false
	}
	select {
	case c, ok := <-from:
		return c, ok
	case <-ctx.Done():
		return nil, false
	}
}

// readChunks cuts the input into chunks until it ends, or next refuses one. A line
// never waits in a chunk for input that is yet to come. An error is the last line of
// the last chunk.
func readChunks(input io.Reader, next func(*chunk) bool) {
	reader := bufio.NewReaderSize(input, chunkBytes)
	c, at := newChunk(), int64(0)
	for number := 1; ; number++ {
		if ready, _ := reader.Peek(reader.Buffered()); len(c.lines) > 0 && bytes.IndexByte(ready, '\n') < 0 {
			if !next(c) {
				return
			}
			c = newChunk()
		}
		text, err := readLine(reader)
		at += int64(len(text))
		if text = bytes.TrimSpace(text); len(text) > 0 && (err == nil || err == io.EOF) {
			c.text = append(c.text, text)
			c.lines = append(c.lines, inputLine{number: number, end: at})
		}
		if err != nil {
			if err != io.EOF {
				c.lines = append(c.lines, inputLine{number: number, err: err})
			}
			next(c)
			return
		}
	}
}

// readLine returns a line with its end. The last line may lack that; io.EOF comes
// with it.
func readLine(reader *bufio.Reader) (line []byte, err error) {
	for {
		part, err := reader.ReadSlice('\n')
		line = append(line, part...)
		if len(bytes.TrimRight(line, "\r\n")) > maxLine {
			return nil, fmt.Errorf("longer than the %d bytes that a line may have", maxLine)
		}
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

func newChunk() *chunk { return &chunk{parsed: make(chan struct{})} }

// parse parses the lines up to the first that is wrong.
func (c *chunk) parse() {
	defer close(c.parsed)
	for i, text := range c.text {
		line := &c.lines[i]
		transaction, err := schema.ParseTransaction(text)
		if err != nil {
			line.err = err
			c.lines = c.lines[:i+1]
			return
		}
		line.ops = transaction.Ops
	}
}
