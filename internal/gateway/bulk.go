package gateway

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
)

// A bulk job is an export or an import that goes on after its request was
// answered (HL7 Bulk Data Access 2.0.0). It belongs to one session and ends
// with it; to any other session it is not there. Of records it holds nothing:
// an export writes its files anew for each download, from charts that the
// keepers permit then.
type job struct {
	id      string
	person  *person
	started time.Time
	request string        // the URL that began it
	ended   chan struct{} // closed when its work is to end
	once    sync.Once
	work    worker

	mu       sync.Mutex
	done, of int
	complete bool
	problems []problem
}

// worker is what kinds of jobs do of their own.
type worker interface {
	// manifest tells of a complete job.
	manifest(j *job, base string) any
	// file writes one file of the job; absent if it has none of that name.
	file(ctx context.Context, g *Gateway, c *call, j *job) (*answer, error)
}

// problem is one thing that a job could not do. It names no patient: where is
// a place in what was sent, or the number of a patient in the job's order.
type problem struct {
	where   string
	outcome *fhir.OutcomeError
}

// jobs are the running and finished ones by name.
type jobs struct {
	mu sync.Mutex
	by map[string]*job
}

// problemsFile names the list of what went wrong.
const problemsFile = "errors"

// begin registers a job and starts its work, which ends with the session, the
// gateway or a DELETE.
func (g *Gateway) startJob(p *person, request string, w worker, run func(context.Context, *job)) (*job, error) {
	var name [16]byte
	rand.Read(name[:])
	j := &job{id: idEncoding.EncodeToString(name[:]), person: p, started: g.now(), request: request, ended: make(chan struct{}), work: w}
	g.jobs.mu.Lock()
	defer g.jobs.mu.Unlock()
	own := 0
	for _, other := range g.jobs.by {
		if other.person == p {
			own++
		}
	}
	if own >= jobsMax || len(g.jobs.by) >= jobsAllMax {
		return nil, refusal(http.StatusTooManyRequests, "throttled", "too many bulk jobs are open; delete those that are done, or wait")
	}
	g.jobs.by[j.id] = j
	if run != nil {
		g.workOn(j, run)
	}
	return j, nil
}

// workOn does something for a job in the background, until it is done, the job
// ends, or the gateway closes.
func (g *Gateway) workOn(j *job, do func(context.Context, *job)) {
	g.working.Go(func() {
		ctx, cancel := context.WithCancel(context.Background())
		var watch sync.WaitGroup
		watch.Go(func() {
			select {
			case <-ctx.Done():
			case <-j.ended:
			case <-g.halt:
			}
			cancel()
		})
		do(ctx, j)
		cancel()
		watch.Wait()
	})
}

func (j *job) stop() { j.once.Do(func() { close(j.ended) }) }

// find is a job of this session.
func (s *jobs) find(p *person, id string) (*job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.by[id]; j != nil && j.person == p {
		return j, nil
	}
	return nil, absent()
}

// sweep ends the jobs whose session has ended; all of them if all.
func (s *jobs) sweep(now time.Time, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, j := range s.by {
		if all || j.person.over(now) {
			j.stop()
			delete(s.by, id)
		}
	}
}

// over reports whether a session has ended.
func (p *person) over(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed || !now.Before(p.expires)
}

func (j *job) step(done, of int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.done, j.of = done, of
}

func (j *job) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.complete = true
}

func (j *job) report(where string, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.problems) < jobProblemsMax {
		j.problems = append(j.problems, problem{where, outcomeOf(err)})
	}
}

// accepted answers the request that began a job.
func accepted(c *call, j *job) *answer {
	return &answer{status: http.StatusAccepted, contentLocation: c.base + "/bulk/" + j.id,
		body: fhir.OperationOutcome(fhir.Issue{Severity: "information", Code: "informational", Diagnostics: "begun; ask the URL in Content-Location how it goes"})}
}

// jobStatus answers GET /bulk/[id]: 202 while it goes on, then the manifest.
func (g *Gateway) jobStatus(_ context.Context, c *call) (*answer, error) {
	j, err := g.jobs.find(c.person, c.id)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.complete {
		return &answer{status: http.StatusAccepted, progress: fmt.Sprintf("%d of %d", j.done, j.of), retryAfter: "1"}, nil
	}
	a, err := jsonAnswer(j.work.manifest(j, c.base))
	if err == nil {
		a.expires = c.person.expires
	}
	return a, err
}

// jobCancel answers DELETE /bulk/[id]: the job ends and is forgotten.
func (g *Gateway) jobCancel(_ context.Context, c *call) (*answer, error) {
	j, err := g.jobs.find(c.person, c.id)
	if err != nil {
		return nil, err
	}
	j.stop()
	g.jobs.mu.Lock()
	delete(g.jobs.by, j.id)
	g.jobs.mu.Unlock()
	return &answer{status: http.StatusAccepted}, nil
}

// jobFile answers GET /bulk/[id]/[file].
func (g *Gateway) jobFile(ctx context.Context, c *call) (*answer, error) {
	j, err := g.jobs.find(c.person, c.id)
	if err != nil {
		return nil, err
	}
	if c.version == problemsFile {
		return j.problemLines(), nil
	}
	return j.work.file(ctx, g, c, j)
}

// problemLines is one OperationOutcome a line.
func (j *job) problemLines() *answer {
	j.mu.Lock()
	defer j.mu.Unlock()
	a := &answer{status: http.StatusOK, content: contentNDJSON}
	for _, p := range j.problems {
		o := *p.outcome
		o.Diagnostics = p.where + ": " + o.Diagnostics
		a.body = append(append(a.body, o.Outcome()...), '\n')
	}
	return a
}

// bulkFile is an item of a manifest.
type bulkFile struct {
	Type  string `json:"type"`
	URL   string `json:"url"`
	Count int    `json:"count,omitempty"`
}

// bulkManifest is the answer of a complete job (Bulk Data Access 2.0.0,
// "Complete Status").
type bulkManifest struct {
	TransactionTime string     `json:"transactionTime"`
	Request         string     `json:"request"`
	Guarded         bool       `json:"requiresAccessToken"`
	Output          []bulkFile `json:"output"`
	Error           []bulkFile `json:"error"`
	Extension       any        `json:"extension,omitempty"`
}

// manifestOf is the part of a manifest that all jobs share. Callers hold mu.
func (j *job) manifestOf(base string) bulkManifest {
	m := bulkManifest{TransactionTime: fhir.Instant(j.started), Request: j.request, Guarded: true, Output: []bulkFile{}, Error: []bulkFile{}}
	if n := len(j.problems); n > 0 {
		m.Error = append(m.Error, bulkFile{"OperationOutcome", base + "/bulk/" + j.id + "/" + problemsFile, n})
	}
	return m
}

// partName is the name of a file of a job.
func partName(n int) string { return "part-" + strconv.Itoa(n) }
