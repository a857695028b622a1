package main

import (
	"fmt"
	"sync"
	"time"
)

// progress is one line about an import: how many, how fast, how long still. On
// a terminal it is rewritten in place; elsewhere it comes every ten seconds.
type progress struct {
	e     *env
	began time.Time
	total int64 // bytes of all sources

	mu        sync.Mutex
	resources int
	bytes     int64
	shown     time.Time
}

func newProgress(e *env, total int64) *progress {
	now := time.Now()
	return &progress{e: e, began: now, total: total, shown: now}
}

// add notes resources that are durable.
func (p *progress) add(resources int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resources += resources
	p.show()
}

// took notes bytes of sources that are through.
func (p *progress) took(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes += bytes
	p.show()
}

// show writes the line when it is time. Callers hold mu.
func (p *progress) show() {
	if !p.due() {
		return
	}
	spent := p.shown.Sub(p.began)
	line := fmt.Sprintf("%d resources, %.0f a second", p.resources, float64(p.resources)/spent.Seconds())
	if p.bytes > 0 && p.bytes < p.total {
		left := time.Duration(float64(spent) * float64(p.total-p.bytes) / float64(p.bytes))
		line += fmt.Sprintf(", about %v left", left.Round(time.Second))
	}
	p.line(line)
}

// due notes that the line is shown now, if it is time. Callers hold mu.
func (p *progress) due() bool {
	wait := 10 * time.Second
	if p.e.live() {
		wait = 200 * time.Millisecond
	}
	now := time.Now()
	if now.Sub(p.shown) < wait {
		return false
	}
	p.shown = now
	return true
}

func (p *progress) line(text string) {
	if p.e.live() {
		fmt.Fprintf(p.e.stderr, "\r\x1b[K%s", text)
	} else {
		fmt.Fprintln(p.e.stderr, text)
	}
}

// end clears the line.
func (p *progress) end() (resources int, spent time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.e.live() {
		fmt.Fprint(p.e.stderr, "\r\x1b[K")
	}
	return p.resources, time.Since(p.began)
}
