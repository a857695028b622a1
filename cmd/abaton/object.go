package main

import (
	"fmt"
	"mime"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
)

func newObjectCommand(e *env) *cobra.Command {
	return noun("object", "Large objects of a record: documents, images, films", newObjectPut(e), newObjectGet(e), newObjectOrphans(e))
}

func newObjectPut(e *env) *cobra.Command {
	p := &putting{e: e}
	var as string
	var asJSON bool
	c := &cobra.Command{Use: "put FILE", Short: "Bring a file of any size into a patient's record", Args: cobra.ExactArgs(1),
		Long: `Bring a file of any size into a patient's record, through the gateway. What
has arrived of it stays when the line breaks: it goes on by itself, and after
this command was ended with --resume.`,
		Example: "  abaton object put scan.dcm --as dr-anna --patient patient-8a4c9c04",
		RunE: func(c *cobra.Command, args []string) error {
			who, err := e.caller(as)
			if err != nil {
				return err
			}
			p.caller, p.file = who, args[0]
			out, err := p.run(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return e.json(out)
			}
			e.say("%s is in the record, %d bytes; four keepers hold every part.", filepath.Base(p.file), out.Bytes)
			e.print("Binary/%s\n", out.ID)
			return nil
		}}
	c.Flags().StringVar(&as, "as", "", "who brings it: a handle or act1...")
	c.Flags().StringVar(&p.patient, "patient", "", "whose it is: a handle, act1... or Patient/ID")
	c.Flags().StringVar(&p.content, "type", "", "its content type (default: by the file's name)")
	c.Flags().StringVar(&p.category, "category", "", "keep it at least under this category")
	c.Flags().BoolVar(&p.resume, "resume", false, "go on with an upload of this file that was ended")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	c.MarkFlagRequired("patient")
	return c
}

func newObjectGet(e *env) *cobra.Command {
	g := &getting{e: e}
	var as string
	var asJSON bool
	c := &cobra.Command{Use: "get ID", Short: "Write an object to a file", Args: cobra.ExactArgs(1),
		Long: `Write an object to a file. When the line breaks it goes on where it was. The
whole is held against the sum that its writer gave.`,
		Example: "  abaton object get Binary/ID --as dr-anna -o scan.dcm\n  abaton object get ID --as dr-anna --range 0-1023 -o head.bin",
		RunE: func(c *cobra.Command, args []string) error {
			g.id = strings.TrimPrefix(args[0], "Binary/")
			if !fhir.IsID(g.id) || !g.rangeFits() {
				return usage("ID or --range is none")
			}
			who, err := e.caller(as)
			if err != nil {
				return err
			}
			g.caller = who
			out, err := g.run(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return e.json(out)
			}
			e.say("%d bytes of %s.", out.Bytes, out.Type)
			return nil
		}}
	c.Flags().StringVar(&as, "as", "", "who reads: a handle or act1...")
	c.Flags().StringVarP(&g.out, "output", "o", "", "the file to write")
	c.Flags().StringVar(&g.span, "range", "", "FROM-TO: only these bytes, counted from 0, both included; either may be left out")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	c.MarkFlagRequired("output")
	return c
}

// caller is somebody who asks the gateway, and can sign in again.
type caller struct {
	at      *local.Network
	who     *people.Person
	session *people.Session
}

func (e *env) caller(handle string) (*caller, error) {
	n, err := e.network()
	if err != nil {
		return nil, err
	}
	p, err := n.People().Find(handle)
	if err != nil {
		return nil, err
	}
	return &caller{at: n, who: p}, nil
}

// about is the header that says whose an object is.
func (c *caller) about(patient string) (header, value string, err error) {
	if id, ok := strings.CutPrefix(patient, "Patient/"); ok {
		if !fhir.IsID(id) {
			return "", "", usage("%q is no patient", patient)
		}
		return "X-Security-Context", patient, nil
	}
	if id, err := abaton.ParseActorID(patient); err == nil {
		return "Abaton-Patient", id.String(), nil
	}
	p, err := c.at.People().Find(patient)
	if err != nil {
		return "", "", err
	}
	return "Abaton-Patient", p.ID.String(), nil
}

// typeOf is a file's content type by its name.
func typeOf(file string) string {
	ext := strings.ToLower(filepath.Ext(file))
	if ext == ".dcm" {
		return "application/dicom" // RFC 3240
	}
	if t := mime.TypeByExtension(ext); t != "" && !strings.Contains(t, "json") {
		return t
	}
	return "application/octet-stream"
}

// meter is one line about how far an object is.
type meter struct {
	*progress
	what  string
	done  int64
	first int64 // was there before
}

func newMeter(e *env, what string, done, total int64) *meter {
	return &meter{progress: newProgress(e, total), what: what, done: done, first: done}
}

// Write counts bytes and shows the line when it is time.
func (m *meter) Write(b []byte) (int, error) {
	m.add(int64(len(b)))
	return len(b), nil
}

func (m *meter) add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
	if !m.due() {
		return
	}
	seconds := m.shown.Sub(m.began).Seconds()
	line := fmt.Sprintf("%s %3d%%, %.1f of %.1f MB, %.1f MB/s", m.what, m.done*100/max(m.total, 1), float64(m.done)/1e6, float64(m.total)/1e6,
		float64(m.done-m.first)/1e6/seconds)
	m.line(line)
}
