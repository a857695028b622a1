package main

import (
	"bytes"
	"fmt"
	"io"
	"math/bits"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// inspectMax caps a file to inspect, in bytes.
const inspectMax = 8 << 20

func newInspectCommand(e *env) *cobra.Command {
	return &cobra.Command{Use: "inspect FILE", Short: "Say what an Abaton file is (\"-\" reads standard input)", Args: cobra.ExactArgs(1),
		Long: `Say what an Abaton file is: a keeper set, a key-log event, a certificate, a
HEAD, a LOCK, a piece, a checkpoint, a proof. It reads the form alone and verifies
no signature but those that a keeper set carries.`,
		RunE: func(_ *cobra.Command, args []string) error {
			content, err := e.fileOrInput(args[0])
			if err != nil {
				return err
			}
			text, ok := inspect(content)
			if !ok {
				return fmt.Errorf("%s: no file of Abaton that this version knows", args[0])
			}
			e.print("%s", text)
			return nil
		}}
}

func (e *env) fileOrInput(path string) ([]byte, error) {
	in := e.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("inspect: %w", err)
		}
		defer f.Close()
		in = f
	}
	content, err := io.ReadAll(io.LimitReader(in, inspectMax+1))
	if err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	if len(content) > inspectMax {
		return nil, fmt.Errorf("inspect: over %d MB, no file of Abaton", inspectMax>>20)
	}
	return content, nil
}

// inspect tries the strict readers of every kind of file; at most one of them
// takes the bytes.
func inspect(content []byte) (string, bool) {
	for _, one := range []func([]byte) (string, bool){
		inspectSet, inspectEvent, inspectCertificate, inspectSigned, inspectPiece, inspectCheckpoint, inspectProof,
	} {
		if text, ok := one(content); ok {
			return text, true
		}
	}
	return "", false
}

func inspectSet(content []byte) (string, bool) {
	set, err := actor.ParseSet(content)
	if err != nil {
		return "", false
	}
	return set.Text(), true
}

// eventWord names a kind of event.
func eventWord(k actor.EventKind) string {
	words := []string{"", "inception", "key added", "key removed", "passkey added", "passkey removed", "epoch", "grant", "revocation",
		"bar", "erasure", "merge", "change of the keeper set", "origins"}
	switch {
	case k == actor.EventEscrow:
		return "escrow"
	case k == actor.EventRecover:
		return "recovery begun"
	case k == actor.EventVeto:
		return "veto of a recovery"
	case int(k) < len(words) && k.Valid():
		return words[k]
	}
	return "unknown"
}

func inspectEvent(content []byte) (string, bool) {
	signed, err := actor.ParseSigned(content)
	if err != nil {
		return "", false
	}
	var ev actor.Event
	if wire.Unmarshal(signed.Event, &ev) != nil || !ev.Kind.Valid() {
		return "", false
	}
	whose := ev.Actor
	if ev.Kind == actor.EventInception {
		whose = actor.IDOf(signed.Event)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "key-log event: %s\nactor %s\nplace %d\nhash %x\nsigner's clock %s\nproofs %d (not verified)\n", eventWord(ev.Kind), whose, ev.Seq,
		actor.HashOf(signed.Event), time.Unix(ev.Time, 0).UTC().Format(time.RFC3339), len(signed.Proofs))
	var in actor.Inception
	if ev.Kind == actor.EventInception && wire.Unmarshal(ev.Body, &in) == nil {
		fmt.Fprintf(&b, "signing keys %d, passkeys %d, lines %d, first grants %d\n", len(in.Keys), len(in.Credentials), len(in.Lines), len(in.Grants))
		if in.Organisation != (abaton.ActorID{}) {
			fmt.Fprintf(&b, "organisation %s\n", in.Organisation)
		}
	}
	return b.String(), true
}

func inspectCertificate(content []byte) (string, bool) {
	c, err := actor.ParseCertificate(content)
	if err != nil {
		return "", false
	}
	return fmt.Sprintf("certificate: %d votes (not verified)\nactor %s\nplace %d\nhash %x\n", len(c.Votes), c.Actor, c.Seq, c.Hash), true
}

// inspectSigned reads a HEAD or a LOCK, signed or bare.
func inspectSigned(content []byte) (string, bool) {
	body := content
	var signed wire.Signed
	if wire.Unmarshal(content, &signed) == nil {
		body = signed.Body
	}
	if h, err := spread.DecodeHead(body); err == nil {
		return fmt.Sprintf("HEAD of batch %s (signature not verified)\npatient %s\nline %s\nwriter %s, number %d\nhour %s\n", spread.NameOf(body),
			h.Patient, h.Line, h.Writer, h.Seq, time.Unix(int64(h.Hour)*3600, 0).UTC().Format(time.RFC3339)), true
	}
	if l, err := spread.DecodeLock(body); err == nil {
		return fmt.Sprintf("LOCK %d of batch %s (signature not verified)\nsegment %s\nlocker %s\nerased records %x\n", l.Number, l.Batch, l.Segment,
			l.Locker, l.Gone), true
	}
	return "", false
}

func inspectPiece(content []byte) (string, bool) {
	p, err := spread.ParsePiece(content)
	if err != nil {
		return "", false
	}
	return fmt.Sprintf("piece: keeper %d's part of %d records of one batch\nit opens nothing by itself\n", p.X, bits.OnesCount64(p.Bitmap)), true
}

func inspectCheckpoint(content []byte) (string, bool) {
	text, signatures, ok := bytes.Cut(content, []byte("\n\n"))
	if !ok {
		return "", false
	}
	c, err := ledger.ParseCheckpoint(append(text, '\n'))
	if err != nil {
		return "", false
	}
	return fmt.Sprintf("checkpoint of the ledger %s\n%d entries, root %s\n%d signatures (not verified)\n", c.Origin, c.Size, c.Root,
		bytes.Count(signatures, []byte("\n"))), true
}

func inspectProof(content []byte) (string, bool) {
	p, err := ledger.ParseProof(content)
	if err != nil {
		return "", false
	}
	return fmt.Sprintf("receipt: entry %d of a ledger, with %d hashes to its checkpoint (not verified)\n%s", p.Index, len(p.Path), p.Checkpoint), true
}
