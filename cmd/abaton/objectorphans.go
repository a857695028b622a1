package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/seal"
)

func newObjectOrphans(e *env) *cobra.Command {
	var as string
	var erase, asJSON bool
	var older time.Duration
	c := &cobra.Command{Use: "orphans", Short: "Parts that no object names: of uploads that were never finished", Args: cobra.NoArgs,
		Long: `Lists the parts of large objects in a patient's own record that no object
names, and erases them with --erase. An upload that is under way looks the same,
so only parts older than --older are shown.`,
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			found, err := d.orphans(c.Context(), older)
			if err != nil {
				return err
			}
			out := struct {
				V      int  `json:"v"`
				Parts  int  `json:"parts"`
				Erased bool `json:"erased"`
			}{V: 1, Parts: len(found)}
			if erase && len(found) > 0 {
				if out.Erased, err = d.eraseParts(c.Context(), found); err != nil {
					return err
				}
			}
			if asJSON {
				return e.json(out)
			}
			e.say("%d parts belong to no object.", out.Parts)
			if out.Erased {
				e.say("They are erased.")
			}
			return nil
		}}
	c.Flags().StringVar(&as, "as", "", "the patient: a handle or act1...")
	c.Flags().BoolVar(&erase, "erase", false, "erase them, for ever")
	c.Flags().DurationVar(&older, "older", 8*24*time.Hour, "only parts that came so long ago; a gateway keeps an upload for 7 days")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	return c
}

// orphans reads the objects of a patient's own record and lists its parts.
func (d *device) orphans(ctx context.Context, older time.Duration) ([]client.Batch, error) {
	reader, ask, err := d.ownReader(ctx)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	parts, err := reader.Parts(ctx, ask)
	if err != nil {
		return nil, fmt.Errorf("list parts: %w", err)
	}
	// The objects come second: one that was written meanwhile is among them.
	opened, err := reader.Chart(ctx, ask)
	if err != nil {
		return nil, fmt.Errorf("open record: %w", err)
	}
	if len(opened.Missing) > 0 {
		for _, m := range opened.Missing {
			if m.Err != abaton.ErrErased {
				return nil, fmt.Errorf("a part of the record cannot be opened, so it is not known what it names: %w", m.Err)
			}
		}
	}
	var objects []*seal.Object
	for i := range opened.Records {
		if r := &opened.Records[i]; r.Envelope.Kind == seal.KindObject {
			o, err := seal.ParseObject(r.Content)
			if err != nil {
				return nil, err
			}
			objects = append(objects, o)
		}
	}
	before := uint32(time.Now().Add(-older).Unix() / 3600)
	return slices.DeleteFunc(client.Unnamed(parts.Batches, objects...), func(b client.Batch) bool { return b.Hour > before || b.Gone != 0 }), nil
}

// ownReader reads a patient's own record, all of it.
func (d *device) ownReader(ctx context.Context) (*client.Reader, client.Ask, error) {
	ask := client.Ask{Patient: d.ID, Purpose: abaton.PatientAccess}
	if d.Kind != actor.Patient {
		return nil, ask, usage("%s is no patient and has no record", d.Handle)
	}
	own, err := d.Own(ctx, d.net)
	if err != nil {
		return nil, ask, err
	}
	l, err := d.at.People().Direct(ctx, d.Person, d.net, own)
	if err != nil {
		return nil, ask, err
	}
	reader, err := d.net.NewReader(l)
	for _, c := range fhir.Categories() {
		ask.Lines = append(ask.Lines, d.Line(c.ID()))
	}
	return reader, ask, err
}

func (d *device) eraseParts(ctx context.Context, parts []client.Batch) (bool, error) {
	rows := make([]client.Row, len(parts))
	for i := range parts {
		rows[i] = client.Row{Batch: parts[i].Name, Records: 1}
	}
	out, err := d.net.Erase(ctx, d.Hand(), rows...)
	if err != nil {
		return false, fmt.Errorf("erase parts: %w", err)
	}
	return out.InForce, nil
}
