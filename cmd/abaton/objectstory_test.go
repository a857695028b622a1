package main

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// cutPut is: cutput DIR WHO PATIENT FILE BYTES. It does what "object put" does
// until it is ended when so many bytes have gone out.
func cutPut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 5 {
		ts.Fatalf("usage: cutput DIR WHO PATIENT FILE BYTES")
	}
	length, err := strconv.ParseInt(args[4], 10, 64)
	ts.Check(err)
	e := &env{stdout: io.Discard, stderr: io.Discard, dir: ts.MkAbs(args[0])}
	ctx := context.Background()
	p := &putting{e: e, file: ts.MkAbs(args[3]), patient: args[2]}
	p.caller, err = e.caller(args[1])
	ts.Check(err)
	ts.Check(p.open())
	defer p.source.Close()
	ts.Check(p.caller.signIn(ctx))
	path, err := p.begin(ctx)
	ts.Check(err)
	resp, err := p.caller.ask(ctx, http.MethodPatch, path, &sized{io.LimitReader(p.source, length), length},
		"Content-Type", "application/partial-upload", "Upload-Offset", "0", "Upload-Complete", "?0")
	ts.Check(err)
	resp.Body.Close()
}

func TestRangeFits(t *testing.T) {
	for span, want := range map[string]bool{"": true, "0-": true, "5-9": true, "-7": true, "5": false, "-": false, "a-b": false, "1-2,3-4": false, "0-1 ": false} {
		if got := (&getting{span: span}).rangeFits(); got != want {
			t.Errorf("--range %q: got %v, want %v", span, got, want)
		}
	}
}

func TestRestOfRange(t *testing.T) {
	for _, c := range []struct {
		span, answered string
		have           int64
		want           string
	}{
		{"", "", 10, "10-"}, {"5-9", "bytes 5-9/100", 2, "7-9"}, {"-7", "bytes 93-99/100", 3, "96-99"}, {"50-", "bytes 50-99/100", 1, "51-99"},
	} {
		g := &getting{span: c.span}
		g.first(c.answered)
		g.have = c.have
		if got := g.rest(); got != c.want {
			t.Errorf("the rest of %q after %d bytes: got %s, want %s", c.span, c.have, got, c.want)
		}
	}
}

func TestTypeOf(t *testing.T) {
	for file, want := range map[string]string{"a.dcm": "application/dicom", "A.DCM": "application/dicom", "x.pdf": "application/pdf", "x.png": "image/png",
		"x.json": "application/octet-stream", "x": "application/octet-stream"} {
		if got := typeOf(file); got != want {
			t.Errorf("%s: got %s, want %s", file, got, want)
		}
	}
}
