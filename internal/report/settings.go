package report

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Settings are what an organisation says of itself, once. What is empty is
// listed as missing in a draft, and a letter says nothing of it.
type Settings struct {
	Name       string  `json:"name"`
	Address    string  `json:"address"`
	Country    string  `json:"country"` // ISO 3166-1 alpha-2
	Identifier string  `json:"identifier"`
	Sector     string  `json:"sector"`
	DPO        Contact `json:"dpo"`
	Reporter   Contact `json:"reporter"`
	// Patients is who answers patients, and Support who helps them with what it
	// does to them.
	Patients  Contact `json:"patients"`
	Support   Contact `json:"support"`
	Authority string  `json:"authority"` // where a patient may complain
	// Helplines are others who help; null: those that are known here for the country.
	Helplines []Helpline `json:"helplines"`
	// Person speaks to a patient to whom nothing may be posted.
	Person      string   `json:"person"`
	CrossBorder string   `json:"cross_border"`
	Groups      string   `json:"groups"`     // which people its patients are
	Kinds       string   `json:"kinds"`      // which kinds of data its records hold
	Identity    string   `json:"identity"`   // whether a national number is among them
	Safeguards  []string `json:"safeguards"` // before the incident
	Planned     []string `json:"planned"`    // after it
	Training    string   `json:"training"`
}

// Contact is how somebody is reached.
type Contact struct {
	Name     string `json:"name"`
	Function string `json:"function"`
	Phone    string `json:"phone"`
	Email    string `json:"email"`
	Web      string `json:"web"`
	Hours    string `json:"hours"`
}

// settingsBytesMax is the longest settings file.
const settingsBytesMax = 64 << 10

// ParseSettings reads a settings file; a name it does not know is refused.
func ParseSettings(data []byte) (*Settings, error) {
	s := new(Settings)
	if len(data) > settingsBytesMax {
		return nil, fmt.Errorf("report settings: longer than %d bytes", settingsBytesMax)
	}
	if err := strict(data, s); err != nil {
		return nil, fmt.Errorf("report settings: %w", err)
	}
	for i, h := range s.Helplines {
		if wordsOf("en").HelpFor[h.For] == "" {
			return nil, fmt.Errorf("report settings: helpline %d: what it is for is not known", i+1)
		}
	}
	return s, nil
}

// strict reads JSON that has no name its form has not, and nothing after it.
func strict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() || len(bytes.TrimSpace(data[d.InputOffset():])) > 0 {
		return fmt.Errorf("something follows the end")
	}
	return nil
}
