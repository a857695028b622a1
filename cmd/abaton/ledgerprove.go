package main

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// proveFlags name one disclosure.
type proveFlags struct {
	as     string
	keeper uint8
	number int64
}

// opening is what a proof file carries besides the proof: what opens the leaf.
// It proves nothing by itself; the leaf made from it is what is proven.
type opening struct {
	_     struct{} `cbor:",toarray"`
	Salt  [ledger.SaltSize]byte
	Entry []byte
}

// prove prints the receipt of one of the patient's disclosures.
func (e *env) prove(ctx context.Context, p *proveFlags) error {
	if p.as == "" {
		return usage("--as names the patient")
	}
	d, err := e.device(p.as)
	if err != nil {
		return err
	}
	defer d.hangUp()
	if d.Kind != actor.Patient {
		return usage("%s is no patient: a disclosure is the patient's to prove", p.as)
	}
	x := abaton.KeeperIndex(p.keeper)
	entry := d.at.Set().Keeper(x)
	if entry == nil {
		return usage("there is no keeper %d", p.keeper)
	}
	login, err := d.at.People().Direct(ctx, d.Person, d.net)
	if err != nil {
		return err
	}
	ask := &asker{entry: entry, login: login, patient: d.ID}
	found, err := ask.disclosure(ctx, p.number)
	if err != nil {
		return fmt.Errorf("ask keeper %d: %w", p.keeper, err)
	}
	text := found.Marshal()
	if _, err := checkProof(text, entry.Origin, ask.verifier); err != nil {
		return fmt.Errorf("the keeper's proof does not hold: %w", err)
	}
	_, err = e.stdout.Write(text)
	return err
}

// asker asks one keeper for a patient's own disclosures.
type asker struct {
	entry    *actor.Keeper
	login    client.Login
	patient  abaton.ActorID
	verifier note.Verifier
}

// disclosure is the proof of the patient's disclosure with that number; -1 is
// the newest before this question.
func (a *asker) disclosure(ctx context.Context, number int64) (*ledger.Proof, error) {
	var err error
	if a.verifier, err = ledger.NewVerifier(a.entry.Origin, a.entry.Key); err != nil {
		return nil, err
	}
	c, err := keeper.Dial(a.entry.URL, a.entry.SPKI)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	channel, err := a.open(ctx, c)
	if err != nil {
		return nil, err
	}
	if number < 0 {
		reply, err := a.history(ctx, c, channel, 0)
		if err != nil {
			return nil, err
		}
		number = int64(reply.Total) - 2 // the newest is this question's own entry
	}
	if number < 0 {
		return nil, errors.New("no disclosure yet")
	}
	reply, err := a.history(ctx, c, channel, uint64(number))
	if err != nil {
		return nil, err
	}
	if len(reply.Disclosures) == 0 || reply.Disclosures[0].Seq != uint64(number) {
		return nil, fmt.Errorf("there is no disclosure %d", number)
	}
	return proofOf(reply)
}

// proofOf makes the file of the first disclosure of a reply.
func proofOf(r *keeper.Reply) (*ledger.Proof, error) {
	d := r.Disclosures[0]
	if len(d.Entry) == 0 {
		return nil, errors.New("its entry was removed after its retention; only the leaf is left")
	}
	p := &ledger.Proof{Index: d.Index, Checkpoint: r.Checkpoint, Extra: wire.Marshal(opening{Salt: d.Salt, Entry: d.Entry})}
	for _, h := range d.Path {
		p.Path = append(p.Path, tlog.Hash(h))
	}
	if len(p.Extra) > ledger.ExtraBytesMax {
		return nil, errors.New("its entry is too large for a proof file")
	}
	return p, nil
}

// open begins the session at the keeper (PROTOCOL.md#session-open).
func (a *asker) open(ctx context.Context, c *keeper.Client) (*session.Channel, error) {
	body, err := c.Call(ctx, keeper.RouteSession, a.login.Signed)
	if err != nil {
		return nil, err
	}
	var opened keeper.Opened
	if err := a.signed(body, wire.Answer, &opened); err != nil {
		return nil, err
	}
	id, err := a.session()
	if err != nil {
		return nil, err
	}
	if opened.Session != id || opened.Keeper != a.entry.X {
		return nil, errors.New("the answer is about another session")
	}
	return session.AcceptChannel(a.login.Reply, id, a.entry.X, opened.Enc)
}

func (a *asker) session() (abaton.SessionID, error) {
	s, err := session.ParseSigned(a.login.Signed)
	if err != nil {
		return abaton.SessionID{}, err
	}
	return session.Challenge(s.Statement), nil
}

// signed reads what the keeper signed under a label.
func (a *asker) signed(data []byte, label wire.Label, into any) error {
	var s wire.Signed
	if wire.Unmarshal(data, &s) != nil || !key.Verify(a.entry.Key, label, s.Body, s.Sig) {
		return errors.New("the answer is not signed by the keeper")
	}
	return wire.Unmarshal(s.Body, into)
}

// history is one page of the patient's disclosures from a number on.
func (a *asker) history(ctx context.Context, c *keeper.Client, channel *session.Channel, from uint64) (*keeper.Reply, error) {
	id, err := a.session()
	if err != nil {
		return nil, err
	}
	q := newRequest(id, a.patient)
	q.Cursor = from
	return a.send(ctx, c, channel, q.Sign(a.login.Key))
}

// send sends signed request bytes and verifies the reply.
func (a *asker) send(ctx context.Context, c *keeper.Client, channel *session.Channel, bytes []byte) (*keeper.Reply, error) {
	asked, err := session.ParseRequest(bytes)
	if err != nil {
		return nil, err
	}
	answer, err := c.Call(ctx, keeper.RouteRequest, bytes)
	if err != nil {
		return nil, err
	}
	var sealed keeper.SealedReply
	if err := wire.Unmarshal(answer, &sealed); err != nil {
		return nil, err
	}
	plain, err := channel.OpenReply(asked.Hash(), session.Sealed{Salt: sealed.Salt, Ciphertext: sealed.Sealed})
	if err != nil {
		return nil, err
	}
	reply := new(keeper.Reply)
	if err := a.signed(plain, wire.Reply, reply); err != nil {
		return nil, err
	}
	if reply.Request != asked.Hash() || reply.Keeper != a.entry.X {
		return nil, errors.New("the reply is to another question")
	}
	if reply.Outcome == keeper.Refused {
		return nil, abaton.Refuse(reply.Reason)
	}
	return reply, nil
}

// proven is what a proof file says.
type proven struct {
	Origin  string `json:"origin"`
	Index   uint64 `json:"index"`
	Size    uint64 `json:"size"`
	Leaf    string `json:"leaf"` // hex
	Time    string `json:"time"`
	Op      string `json:"op"`
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
	Actor   string `json:"actor"`
	Patient string `json:"patient"`
	Purpose string `json:"purpose,omitempty"`
	Records int    `json:"records"` // released
}

// checkProof verifies a proof file and opens its leaf.
func checkProof(text []byte, origin string, v note.Verifier) (*proven, error) {
	p, err := ledger.ParseProof(text)
	if err != nil {
		return nil, err
	}
	var o opening
	if err := wire.Unmarshal(p.Extra, &o); err != nil {
		return nil, errors.New("the file does not carry the entry that it proves")
	}
	leaf := ledger.NewLeaf(o.Salt, o.Entry)
	c, err := p.Verify(leaf, origin, v)
	if err != nil {
		return nil, err
	}
	entry, err := ledger.ParseEntry(o.Entry)
	if err != nil {
		return nil, err
	}
	out := &proven{
		Origin: c.Origin, Index: p.Index, Size: c.Size, Leaf: fmt.Sprintf("%x", leaf), Time: time.Unix(entry.Time, 0).UTC().Format(time.RFC3339),
		Op: entry.Op.String(), Outcome: entry.Outcome.String(), Reason: string(entry.Reason), Actor: entry.Actor.String(), Purpose: string(entry.Purpose),
	}
	if entry.Patient != (abaton.ActorID{}) {
		out.Patient = entry.Patient.String()
	}
	for _, row := range entry.Rows {
		out.Records += bits.OnesCount64(row.Released)
	}
	return out, nil
}

// verifyProof checks a receipt file with the keys of the network, or of --key,
// and asks nobody.
func (e *env) verifyProof(f *ledgerFlags, file string, asJSON bool) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read proof: %w", err)
	}
	keys, err := e.proofKeys(f)
	if err != nil {
		return err
	}
	p, err := ledger.ParseProof(text)
	if err != nil {
		return err
	}
	for origin, v := range keys {
		if _, err := ledger.VerifyCheckpoint(p.Checkpoint, origin, v); err != nil {
			continue
		}
		said, err := checkProof(text, origin, v)
		if err != nil {
			return fmt.Errorf("proof does not hold: %w", err)
		}
		return e.sayProven(said, asJSON)
	}
	return errors.New("proof does not hold: its checkpoint is of no ledger known here")
}

func (e *env) proofKeys(f *ledgerFlags) (map[string]note.Verifier, error) {
	if f.key != "" {
		v, err := ledger.ParseVerifierKey(f.key)
		if err != nil {
			return nil, usage("--key is not a vkey")
		}
		origin := f.origin
		if origin == "" {
			origin = v.Name()
		}
		return map[string]note.Verifier{origin: v}, nil
	}
	n, err := e.network()
	if err != nil {
		return nil, err
	}
	keys := make(map[string]note.Verifier)
	for i := range n.Set().Keepers {
		k := &n.Set().Keepers[i]
		if keys[k.Origin], err = ledger.NewVerifier(k.Origin, k.Key); err != nil {
			return nil, fmt.Errorf("keeper %d: %w", k.X, err)
		}
	}
	return keys, nil
}

func (e *env) sayProven(p *proven, asJSON bool) error {
	if asJSON {
		return e.json(p)
	}
	e.print("ok  entry %d of %d in %s\n", p.Index, p.Size, p.Origin)
	e.print("    %s  %s %s", p.Time, p.Op, p.Outcome)
	if p.Reason != "" {
		e.print(" (%s)", p.Reason)
	}
	e.print(", %d records, purpose %s\n    asked by %s\n    about    %s\n", p.Records, p.Purpose, p.Actor, p.Patient)
	return nil
}
