package people

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/wire"
)

// Amend writes a person's roles and device anew; keys never change.
func (w *World) Amend(p *Person) error {
	path := filepath.Join(w.Dir(p.Handle), keysFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("amend person: %w", err)
	}
	var f form
	if wire.Unmarshal(data, &f) != nil || f.ID != p.ID {
		return fmt.Errorf("amend person %q: %w", p.Handle, errDamaged)
	}
	f.Roles, f.Device = p.Roles, p.Device
	return durable.WriteFile(path, wire.Marshal(f), 0o600)
}

// teamsFile names an organisation's teams, for people: key logs name none.
const teamsFile = "teams.json"

// Teams are an organisation's teams by the names that people gave them.
func (w *World) Teams(org *Person) (map[string]Team, error) {
	data, err := os.ReadFile(filepath.Join(w.Dir(org.Handle), teamsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]Team{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read teams: %w", err)
	}
	var texts map[string]string
	if json.Unmarshal(data, &texts) != nil {
		return nil, fmt.Errorf("read teams: %w", errDamaged)
	}
	out := make(map[string]Team, len(texts))
	for name, text := range texts {
		id, err := abaton.ParseActorID(text)
		if err != nil {
			return nil, fmt.Errorf("read teams: %w", errDamaged)
		}
		out[name] = Team{ID: id, Organisation: org.ID}
	}
	return out, nil
}

// NameTeam gives a team a name.
func (w *World) NameTeam(org *Person, name string, t Team) error {
	if !handleForm.MatchString(name) {
		return fmt.Errorf("%q cannot be a team's name: a to z, 0 to 9 and hyphen", name)
	}
	all, err := w.Teams(org)
	if err != nil {
		return err
	}
	all[name] = t
	texts := make(map[string]string, len(all))
	for name, t := range all {
		texts[name] = t.ID.String()
	}
	data, err := json.MarshalIndent(texts, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(w.Dir(org.Handle), teamsFile), append(data, '\n'), 0o600)
}
