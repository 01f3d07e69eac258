package control

import (
	"bytes"
	"encoding/json"
	"reflect"

	"hotsvc/internal/engine"
)

// request is a call on the wire.
type request struct {
	Method     string          `json:"method"`
	Parameters json.RawMessage `json:"parameters,omitempty"`
	More       bool            `json:"more,omitempty"`
	Oneway     bool            `json:"oneway,omitempty"`
}

// response is an answer on the wire. Error is empty unless the call failed.
type response struct {
	Parameters any    `json:"parameters,omitempty"`
	Continues  bool   `json:"continues,omitempty"`
	Error      string `json:"error,omitempty"`
}

// failure is what the parameters of every error of io.hotsvc's hold.
type failure struct {
	Text  string `json:"text"`
	About any    `json:"about,omitempty"` // what the answer would have held, as far as there is one
}

// failures gives each way to fail its varlink error. The order is that of the
// interface description.
var failures = []struct {
	Code engine.Code
	Name string
	Text string
}{
	{engine.CodeNo, "No", "It is not so, or it could not be done."},
	{engine.CodeTimeout, "TimedOut", "It was not done in time. It may still be under way."},
	{engine.CodeUnknown, "UnknownService", "There is no such service."},
	{engine.CodeDenied, "NotPermitted", "The caller may not do that."},
	{engine.CodeUsage, "Usage", "The question makes no sense."},
	{engine.CodeDaemon, "Unavailable", "The daemon cannot answer now."},
}

func errorName(code engine.Code) string {
	for _, f := range failures {
		if f.Code == code {
			return Interface + "." + f.Name
		}
	}
	return Interface + "." + failures[0].Name
}

func errorCode(name string) (engine.Code, bool) {
	for _, f := range failures {
		if Interface+"."+f.Name == name {
			return f.Code, true
		}
	}
	return engine.CodeUsage, false
}

func failed(code engine.Code, text string) response {
	return response{Error: errorName(code), Parameters: failure{Text: text}}
}

func invalidParameter(name string) response {
	return response{Error: serviceInterface + ".InvalidParameter", Parameters: map[string]any{"parameter": name}}
}

// answer turns the engine's reply into the message for the caller. An empty list
// goes as [] and not as null.
func (o *Operation) answer(r engine.Reply) response {
	value := r.Value
	if v := reflect.ValueOf(value); r.Code == engine.CodeYes && !v.IsValid() || v.Kind() == reflect.Slice && v.IsNil() {
		value = o.Gives
	}
	var fields any
	if value != nil {
		fields = map[string]any{o.Field: value}
	}
	if r.Code != engine.CodeYes {
		return response{Error: errorName(r.Code), Parameters: failure{Text: r.Error, About: fields}}
	}
	return response{Parameters: fields, Continues: r.More}
}

// encode is a message ready to be sent, with its NUL. Text stays readable: "<"
// is not escaped.
func encode(message any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(message); err != nil {
		return nil, err
	}
	out := b.Bytes()
	out[len(out)-1] = 0 // where Encode puts a newline
	return out, nil
}
