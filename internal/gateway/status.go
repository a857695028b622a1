package gateway

import (
	"bytes"
	"context"
	"html/template"
	"net/http"
	"sync"
	"time"
)

// protocolVersion is what this gateway speaks with keepers (PROTOCOL.md).
const protocolVersion = 1

// state is what /status tells. It names no person, patient or record.
type state struct {
	Status  string `json:"status"` // ok; degraded: not all keepers answer; down: no reads
	Reads   bool   `json:"reads"`
	Writes  bool   `json:"writes"` // durable at once; else they wait sealed in the outbox
	Keepers struct {
		Answering int `json:"answering"`
		Of        int `json:"of"`
		ToRead    int `json:"toRead"`
		ToWrite   int `json:"toWrite"`
	} `json:"keepers"`
	Outbox struct {
		Waiting int `json:"waiting"` // batches not yet at the write quorum
		Behind  int `json:"behind"`  // durable, not yet at every keeper
		Refused int `json:"refused"` // refused when nobody was there to be told
	} `json:"outbox"`
	Release  string `json:"release"`
	Protocol int    `json:"protocol"`
	FHIR     string `json:"fhir"`
}

// status answers GET /status: whether the keepers answer and what waits, as a
// page for people or, asked for application/json, for software.
func (g *Gateway) status(ctx context.Context, c *call) (*answer, error) {
	s := g.stateNow(ctx)
	if !c.html {
		return jsonAnswer(s)
	}
	var page bytes.Buffer
	if err := statusPage().Execute(&page, s); err != nil {
		return nil, err
	}
	return &answer{status: http.StatusOK, content: "text/html; charset=utf-8", body: page.Bytes()}, nil
}

func (g *Gateway) stateNow(ctx context.Context) (s state) {
	s.Keepers.Answering = g.answering(ctx)
	s.Keepers.Of, s.Keepers.ToRead, s.Keepers.ToWrite = int(g.set.N), int(g.set.T), int(g.set.W)
	s.Outbox.Waiting, s.Outbox.Behind, s.Outbox.Refused = g.writer.Backlog()
	s.Release, s.Protocol, s.FHIR = g.release, protocolVersion, "4.0.1"
	s.Reads = s.Keepers.Answering >= s.Keepers.ToRead
	s.Writes = s.Keepers.Answering >= s.Keepers.ToWrite
	switch {
	case !s.Reads:
		s.Status = "down"
	case s.Keepers.Answering < s.Keepers.Of:
		s.Status = "degraded"
	default:
		s.Status = "ok"
	}
	return s
}

// reached is how many keepers answered, and when that was.
type reached struct {
	mu sync.Mutex
	n  int
	at time.Time
}

// answering is how many keepers answer, asked at most every checkpointsFresh
// however many look.
func (g *Gateway) answering(ctx context.Context) int {
	g.reached.mu.Lock()
	defer g.reached.mu.Unlock()
	if age := g.now().Sub(g.reached.at); age >= 0 && age < checkpointsFresh {
		return g.reached.n
	}
	ctx, cancel := context.WithTimeout(ctx, checkpointWait)
	defer cancel()
	notes, err := g.network.Checkpoints(ctx)
	if err != nil { // fewer than f+1, or whoever asked has gone
		notes = nil
	}
	g.reached.n, g.reached.at = len(notes), g.now()
	return g.reached.n
}

// statusPage needs no script and no style from anywhere.
func statusPage() *template.Template {
	return template.Must(template.New("status").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="15"><title>Abaton gateway: {{.Status}}</title></head>
<body><h1>Abaton gateway: {{.Status}}</h1>
<table>
<tr><th scope="row">Reading</th><td>{{if .Reads}}works{{else}}does not work: fewer than {{.Keepers.ToRead}} keepers answer{{end}}</td></tr>
<tr><th scope="row">Writing</th><td>{{if .Writes}}works{{else}}waits: fewer than {{.Keepers.ToWrite}} keepers answer; what is written is kept sealed and goes on by itself{{end}}</td></tr>
<tr><th scope="row">Keepers answering</th><td>{{.Keepers.Answering}} of {{.Keepers.Of}}</td></tr>
<tr><th scope="row">Waiting in the outbox</th><td>{{.Outbox.Waiting}}</td></tr>
<tr><th scope="row">Not yet at every keeper</th><td>{{.Outbox.Behind}}</td></tr>
<tr><th scope="row">Refused, to be looked at</th><td>{{.Outbox.Refused}}</td></tr>
<tr><th scope="row">Release, protocol, FHIR</th><td>{{.Release}}, {{.Protocol}}, {{.FHIR}}</td></tr>
</table></body></html>
`))
}
