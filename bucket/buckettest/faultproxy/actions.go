package faultproxy

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// Method matches requests with one of the methods.
func Method(methods ...string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		for _, method := range methods {
			if r.Method == method {
				return true
			}
		}
		return false
	}
}

// Containing matches requests with one of the methods whose path and query, as
// they were sent, contain text.
func Containing(text string, methods ...string) func(*http.Request) bool {
	method := Method(methods...)
	return func(r *http.Request) bool { return method(r) && strings.Contains(r.RequestURI, text) }
}

// Pass forwards the request and the reply as they are.
func Pass(p *Proxy, w http.ResponseWriter, r *http.Request) {
	response, body, ok := p.forward(w, r)
	if !ok {
		return
	}
	copyHeader(w, response, len(body))
	_, _ = w.Write(body)
}

func copyHeader(w http.ResponseWriter, response *http.Response, size int) {
	maps.Copy(w.Header(), response.Header)
	if response.Request.Method != http.MethodHead && response.StatusCode != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(size))
	}
	w.WriteHeader(response.StatusCode)
}

// Answer answers in the store's place, which does not hear of the request. code
// is put where S3 puts its error codes.
func Answer(status int, code string) Action {
	return func(_ *Proxy, w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answer(w, status, code)
	}
}

func answer(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>injected</Message></Error>", code)
}

// ResetBefore resets the connection before it reads the body.
func ResetBefore(_ *Proxy, w http.ResponseWriter, _ *http.Request) { reset(w) }

// ResetInBody resets the connection after it has read half of the body.
func ResetInBody(_ *Proxy, w http.ResponseWriter, r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
	reset(w)
}

// LoseReply lets the store do what was asked, and resets the connection.
func LoseReply(p *Proxy, w http.ResponseWriter, r *http.Request) { LoseReplyAfter(func() {})(p, w, r) }

// LoseReplyAfter lets the store do what was asked, then runs do, and then resets
// the connection.
func LoseReplyAfter(do func()) Action {
	return func(p *Proxy, w http.ResponseWriter, r *http.Request) {
		if _, _, ok := p.forward(w, r); ok {
			do()
			reset(w)
		}
	}
}

// AnswerAfter lets the store do what was asked, and answers something else.
func AnswerAfter(status int, code string) Action {
	return func(p *Proxy, w http.ResponseWriter, r *http.Request) {
		if _, _, ok := p.forward(w, r); ok {
			answer(w, status, code)
		}
	}
}

// StallAfter lets the store do what was asked, and says nothing until the client
// has gone.
func StallAfter(p *Proxy, w http.ResponseWriter, r *http.Request) {
	if _, _, ok := p.forward(w, r); ok {
		<-r.Context().Done()
	}
}

// CutReply sends half of the reply's body, and resets the connection.
func CutReply(p *Proxy, w http.ResponseWriter, r *http.Request) {
	response, body, ok := p.forward(w, r)
	if !ok {
		return
	}
	copyHeader(w, response, len(body))
	_, _ = w.Write(body[:len(body)/2])
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush()
	}
	reset(w)
}

// Hold keeps the request, unanswered, until Release forwards it.
func Hold(p *Proxy, w http.ResponseWriter, r *http.Request) {
	out, err := p.detach(r)
	if err != nil {
		return // the client went before it had sent the request
	}
	p.mu.Lock()
	p.held = append(p.held, out)
	p.mu.Unlock()
	<-r.Context().Done()
}

// IgnoreConditions makes of the store one that does not know conditional writes.
// sign, if not nil, signs the changed request anew.
func IgnoreConditions(sign func(*http.Request) error) Action {
	return func(p *Proxy, w http.ResponseWriter, r *http.Request) {
		r.Header.Del("If-Match")
		r.Header.Del("If-None-Match")
		query := r.URL.Query()
		query.Del("ifGenerationMatch")
		query.Del("ifMetagenerationMatch")
		r.URL.RawQuery = query.Encode()
		r.RequestURI = r.URL.RequestURI()
		if sign != nil {
			if err := sign(r); err != nil {
				http.Error(w, "proxy: "+err.Error(), http.StatusInternalServerError)
				return
			}
		}
		Pass(p, w, r)
	}
}

// reset closes the connection so that the client sees a reset, not an end.
func reset(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // closes it all the same
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = connection.Close()
}
