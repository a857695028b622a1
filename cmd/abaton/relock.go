package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
)

func newRelockCommand(e *env) *cobra.Command {
	var line string
	var epoch, urgent, asJSON bool
	c := &cobra.Command{Use: "relock PATIENT", Short: "Lock a record anew, so that keys kept from before open nothing of it", Args: cobra.ExactArgs(1),
		Long: `Locks every record of a patient anew to the newest key of its part. Whoever
holds an older key opens nothing afterwards, also with old copies of fewer
keepers than it takes.

It can be stopped at any time and called again: it goes on where it was.
Reading and writing go on meanwhile. A session that began before a new key
cannot open what is locked to it: people sign in again.`,
		Example: "  abaton relock patient-8a4c9c04\n  abaton relock patient-8a4c9c04 --line genetic --new-key --urgent",
		RunE: func(c *cobra.Command, args []string) error {
			d, err := e.device(args[0])
			if err != nil {
				return err
			}
			defer d.hangUp()
			if d.Kind != actor.Patient {
				return usage("%s is no patient and has no record to lock", d.Handle)
			}
			lines, err := d.linesOf(line)
			if err != nil {
				return err
			}
			end := client.Ending{Urgent: urgent}
			if epoch {
				if end.Lines, err = d.allLines(c.Context(), lines); err != nil {
					return err
				}
			} else if urgent {
				return usage("--urgent is for a new key: add --new-key")
			}
			return e.relock(c.Context(), d, end, lines, asJSON)
		}}
	c.Flags().StringVar(&line, "line", "", "only these parts of the record, with commas: "+categoryNames()+"; or lin1... names")
	c.Flags().BoolVar(&epoch, "new-key", false, "give each part a new key first: somebody may know the present one")
	c.Flags().BoolVar(&urgent, "urgent", false, "with --new-key: accept nothing under the present one any more, late writes neither")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// linesOf reads --line: categories or names of lines; nothing is all.
func (d *device) linesOf(text string) (lines []abaton.Line, err error) {
	if text == "" {
		return nil, nil
	}
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		if strings.HasPrefix(name, "lin1") {
			l, err := abaton.ParseLine(name)
			if err != nil {
				return nil, usage("%q is no line", name)
			}
			lines = append(lines, l)
			continue
		}
		categories, err := categoriesOf(name)
		if err != nil {
			return nil, err
		}
		lines = append(lines, d.Line(categories[0].ID()))
	}
	return lines, nil
}

// allLines are those given, or all that the patient's log has.
func (d *device) allLines(ctx context.Context, given []abaton.Line) ([]abaton.Line, error) {
	if len(given) > 0 {
		return given, nil
	}
	st, err := d.net.Log(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	for _, s := range st.Lines() {
		given = append(given, s.Line)
	}
	return given, nil
}

// relocked is relock --json.
type relocked struct {
	V        int            `json:"v"`
	Patient  string         `json:"patient"`
	Complete bool           `json:"complete"`
	Done     int            `json:"done"`
	Of       int            `json:"of"`
	Behind   int            `json:"behind"`
	Failed   map[string]int `json:"failed,omitempty"`
}

// relock ends what end says and locks lines anew, or goes on with it where end
// says nothing.
func (e *env) relock(ctx context.Context, d *device, end client.Ending, lines []abaton.Line, asJSON bool) error {
	began := time.Now()
	bar := newProgress(e, 0)
	c := d.at.People().Relocking(d.Person, d.net, lines, func(at client.Relocked) { bar.relocked(at) })
	end.Hand = d.Hand()
	end.Stage = func(s client.Stage) {
		if s.Grant != (abaton.GrantID{}) {
			e.say("Stopped at %d of %d keepers: %s", s.At, s.Of, s.Grant)
			return
		}
		e.say("New key in force at %d of %d keepers: %s", s.At, s.Of, s.Line)
	}
	var at *client.Relocked
	var err error
	if len(end.Revoke) == 0 && len(end.Lines) == 0 {
		var r *client.Relocker
		if r, err = d.net.NewRelocker(c); err == nil {
			at, err = r.Run(ctx)
		}
	} else {
		at, err = d.net.Relock(ctx, end, c)
	}
	bar.end()
	if at == nil {
		return err
	}
	e.sayRelocked(d, at, time.Since(began))
	if asJSON {
		err = errors.Join(err, e.json(relocked{V: 1, Patient: d.ID.String(), Complete: err == nil && at.Complete(),
			Done: at.Done, Of: at.Of, Behind: at.Behind, Failed: at.Failed}))
	}
	if errors.Is(err, abaton.ErrPending) {
		return fmt.Errorf("%d of %d records are under the new lock; run it again: abaton relock %s: %w", at.Done, at.Of, d.Handle, err)
	}
	return err
}

func (e *env) sayRelocked(d *device, at *client.Relocked, took time.Duration) {
	if at.Complete() {
		e.say("%d of %d under the new lock after %v; old keys open nothing.", at.Done, at.Of, took.Round(time.Millisecond))
	}
	if at.Behind > 0 {
		e.say("One keeper is behind with %d batches; alone it opens nothing. abaton relock %s brings it along.", at.Behind, d.Handle)
	}
	var whys []string
	for why := range at.Failed {
		whys = append(whys, why)
	}
	slices.Sort(whys)
	for _, why := range whys {
		e.say("%d batches could not be locked anew: %s", at.Failed[why], why)
	}
}

// relocked shows how far a re-lock is.
func (p *progress) relocked(at client.Relocked) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.due() {
		p.line(fmt.Sprintf("%d of %d under the new lock", at.Done, at.Of))
	}
}
