package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/bits"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
)

// An erasure is asked for by a Task in the patient's chart, answered in it by
// the clinic, which has duties to keep, and carried out by the patient's own
// device, which alone can sign it. The Task stays: what was asked and what was
// answered, when and by whom, and nothing of what it was about but its name.
func newErasureCommand(e *env) *cobra.Command {
	return noun("erasure", "Records a patient wants gone: asked for, answered by the clinic, carried out for ever",
		newErasureAsk(e), newErasureAnswer(e), newErasureList(e), newErasureCarryOut(e))
}

// Codes of the Task.
const (
	erasureSystem = "urn:abaton:task"
	erasureCode   = "erase"
)

type reference struct {
	Reference string `json:"reference"`
}

type plainText struct {
	Text string `json:"text,omitempty"`
}

// erasureTask is the Task as it is written.
type erasureTask struct {
	ResourceType string `json:"resourceType"`
	ID           string `json:"id,omitempty"`
	Status       string `json:"status"` // requested, accepted, rejected
	StatusReason any    `json:"statusReason,omitempty"`
	Intent       string `json:"intent"`
	Code         struct {
		Coding []map[string]string `json:"coding"`
	} `json:"code"`
	Focus      reference  `json:"focus"`
	For        reference  `json:"for"`
	AuthoredOn string     `json:"authoredOn"`
	ReasonCode *plainText `json:"reasonCode,omitempty"`
}

func newErasureAsk(e *env) *cobra.Command {
	var as, why string
	c := &cobra.Command{Use: "ask TYPE/ID", Short: "Ask the clinic for leave to erase one resource", Args: cobra.ExactArgs(1),
		Example: "  abaton erasure ask Observation/bw32w7qi-... --as patient-8a4c9c04 --why 'it is about somebody else'",
		RunE: func(c *cobra.Command, args []string) error {
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			r, err := d.record(c.Context())
			if err != nil {
				return err
			}
			own := ""
			for _, v := range r.current() {
				if v.Type == "Patient" {
					own = "Patient/" + v.ID
				}
			}
			if len(r.names[args[0]]) == 0 || own == "" {
				return fmt.Errorf("%s: %w", args[0], abaton.ErrNotFound)
			}
			if args[0] == own {
				return usage("a Patient cannot be erased alone: every other record is filed under it")
			}
			t := erasureTask{ResourceType: "Task", Status: "requested", Intent: "order", Focus: reference{args[0]}, For: reference{own},
				AuthoredOn: fhir.Instant(time.Now())}
			t.Code.Coding = []map[string]string{{"system": erasureSystem, "code": erasureCode}}
			if why != "" {
				t.ReasonCode = &plainText{why}
			}
			s, err := e.kept(as)
			if err != nil {
				return err
			}
			body, err := json.Marshal(t)
			if err != nil {
				return err
			}
			_, answer, _, err := ask(c.Context(), s, http.MethodPost, "/Task", body)
			if err != nil {
				return err
			}
			made, err := fhir.ParseResource(answer)
			if err != nil {
				return err
			}
			e.say("Asked. The clinic answers with: abaton erasure answer %s --as HANDLE --allow (or --refuse REASON)", made.ID())
			e.print("%s\n", made.ID())
			return nil
		}}
	c.Flags().StringVar(&as, "as", "", "the patient, who is signed in")
	c.Flags().StringVar(&why, "why", "", "in own words")
	c.MarkFlagRequired("as")
	return c
}

func newErasureAnswer(e *env) *cobra.Command {
	var as, refuse string
	var allow bool
	c := &cobra.Command{Use: "answer TASK", Short: "Answer: leave to erase, or a refusal with its reason", Args: cobra.ExactArgs(1),
		Example: "  abaton erasure answer bw32w7qi-... --as dr-anna --refuse 'kept until 2046: article 7:454 of the Civil Code'",
		RunE: func(c *cobra.Command, args []string) error {
			if allow == (refuse != "") {
				return usage("say --allow, or --refuse with the reason")
			}
			s, err := e.kept(as)
			if err != nil {
				return err
			}
			_, body, etag, err := ask(c.Context(), s, http.MethodGet, "/Task/"+args[0], nil)
			if err != nil {
				return err
			}
			v, ok := erasureOf(body)
			if !ok {
				return usage("%s is no request for an erasure", args[0])
			}
			if v.Status != "requested" {
				return usage("it was answered already: %s", v.Status)
			}
			v.Status = "accepted"
			if refuse != "" {
				v.Status, v.StatusReason = "rejected", plainText{refuse}
			}
			text, err := json.Marshal(struct {
				ResourceType string        `json:"resourceType"`
				Type         string        `json:"type"`
				Entry        []bundleEntry `json:"entry"`
			}{"Bundle", "transaction", []bundleEntry{{Resource: v.bytes(), Request: bundleRequest{Method: http.MethodPut, URL: "Task/" + args[0], IfMatch: etag}}}})
			if err != nil {
				return err
			}
			if _, _, _, err := ask(c.Context(), s, http.MethodPost, "/", text); err != nil {
				return err
			}
			e.say("Answered: %s, at %s.", v.Status, time.Now().UTC().Format(time.RFC3339))
			return nil
		}}
	c.Flags().StringVar(&as, "as", "", "who answers for the clinic, and is signed in")
	c.Flags().BoolVar(&allow, "allow", false, "no duty to keep stands against it")
	c.Flags().StringVar(&refuse, "refuse", "", "the reason, which the patient reads word for word")
	c.MarkFlagRequired("as")
	return c
}

// erasureOf reads a Task back; false for any other.
func erasureOf(body []byte) (t erasureTask, ok bool) {
	if json.Unmarshal(body, &t) != nil || t.ResourceType != "Task" {
		return t, false
	}
	ok = slices.ContainsFunc(t.Code.Coding, func(c map[string]string) bool {
		return c["system"] == erasureSystem && c["code"] == erasureCode
	})
	return t, ok
}

func (t *erasureTask) bytes() []byte {
	b, err := json.Marshal(t)
	if err != nil {
		panic("a Task of strings has no JSON")
	}
	return b
}

// listedErasure is one request, as the patient's device sees it.
type listedErasure struct {
	Task     string `json:"task"`
	Of       string `json:"of"`
	Status   string `json:"status"`
	Reason   string `json:"reason,omitempty"`
	Answered string `json:"answered,omitempty"` // when, RFC 3339
	By       string `json:"by,omitempty"`
	Gone     bool   `json:"gone"`
}

// erasures are the requests in the patient's own record. Who answered is the
// person that the gateway sealed with the version, never what the Task says.
func (d *device) erasures(ctx context.Context) (list []listedErasure, r *ownRecord, err error) {
	if r, err = d.record(ctx); err != nil {
		return nil, nil, err
	}
	known, err := names(d.at)
	if err != nil {
		return nil, nil, err
	}
	list = []listedErasure{}
	for _, v := range r.current() {
		t, ok := erasureOf(v.Body)
		if v.Type != "Task" || !ok {
			continue
		}
		one := listedErasure{Task: v.ID, Of: t.Focus.Reference, Status: "requested", Gone: len(r.names[t.Focus.Reference]) == 0}
		by := r.persons[v.VersionID]
		if t.Status != "requested" && by != d.ID && by != (abaton.ActorID{}) {
			one.Status, one.By, one.Answered = t.Status, nameOf(known, by), fhir.Instant(v.LastUpdated)
			if reason, ok := t.StatusReason.(map[string]any); ok {
				one.Reason, _ = reason["text"].(string)
			}
		}
		list = append(list, one)
	}
	return list, r, nil
}

func newErasureList(e *env) *cobra.Command {
	var as string
	var asJSON bool
	c := &cobra.Command{Use: "list", Short: "What was asked, and what was answered when, by whom and why", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			list, r, err := d.erasures(c.Context())
			if err != nil {
				return err
			}
			e.caveats(r)
			if asJSON {
				return e.json(struct {
					V        int             `json:"v"`
					Erasures []listedErasure `json:"erasures"`
				}{1, list})
			}
			t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "TASK\tOF\tSTATUS\tANSWERED\tBY\tGONE\tREASON")
			for _, l := range list {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%v\t%s\n", l.Task, l.Of, l.Status, l.Answered, l.By, l.Gone, l.Reason)
			}
			return t.Flush()
		}}
	c.Flags().StringVar(&as, "as", "", "the patient")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	return c
}

func newErasureCarryOut(e *env) *cobra.Command {
	var as string
	var asJSON bool
	c := &cobra.Command{Use: "carry-out TASK", Short: "Erase it at every keeper, for ever", Args: cobra.ExactArgs(1),
		Long: `Erase a resource in every version at every keeper, for ever, after the clinic said
yes. The keepers destroy their shares and fragments, with what lists the records that
were written together with it. What stays are the ledgers' commitments and the Task.`,
		Example: "  abaton erasure carry-out bw32w7qi-... --as patient-8a4c9c04",
		RunE: func(c *cobra.Command, args []string) error {
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			list, r, err := d.erasures(c.Context())
			if err != nil {
				return err
			}
			at := slices.IndexFunc(list, func(l listedErasure) bool { return l.Task == args[0] })
			if at < 0 {
				return fmt.Errorf("%s: %w", args[0], abaton.ErrNotFound)
			}
			one := list[at]
			switch {
			case one.Status == "rejected":
				return fmt.Errorf("refused at %s by %s: abaton erasure list tells why", one.Answered, one.By)
			case one.Status != "accepted":
				return fmt.Errorf("the clinic has not answered yet")
			}
			rows := rowsOf(r.names[one.Of])
			if len(rows) == 0 {
				return fmt.Errorf("%s: %w", one.Of, abaton.ErrErased)
			}
			return e.eraseRows(c.Context(), d, d.Hand(), one.Of, rows, asJSON)
		}}
	c.Flags().StringVar(&as, "as", "", "the patient")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	return c
}

// rowsOf are records by batch, each with its batch's index: an index says type,
// date and codes of what it lists. Readers open what is left without it.
func rowsOf(records []abaton.RecordName) (rows []client.Row) {
	for _, name := range records {
		at := slices.IndexFunc(rows, func(r client.Row) bool { return r.Batch == name.Batch })
		if at < 0 {
			at, rows = len(rows), append(rows, client.Row{Batch: name.Batch})
		}
		rows[at].Records |= 1<<name.Index | 1
	}
	return rows
}

func (e *env) eraseRows(ctx context.Context, d *device, by client.Hand, what string, rows []client.Row, asJSON bool) error {
	began := time.Now()
	p, err := d.net.Erase(ctx, by, rows...)
	if err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	count := 0
	for _, r := range rows {
		count += bits.OnesCount64(r.Records)
	}
	if asJSON {
		return e.json(struct {
			V       int    `json:"v"`
			Of      string `json:"of"`
			Records int    `json:"records"` // indexes too
			At      int    `json:"at"`
			Keepers int    `json:"of_keepers"`
		}{1, what, count, p.At, p.Of})
	}
	e.say("%s: erased in every version (%s), in force at %d of %d keepers after %v.", what, plural(count, "record"), p.At, p.Of,
		time.Since(began).Round(time.Millisecond))
	return nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strings.Join([]string{fmt.Sprint(n), noun + "s"}, " ")
}
