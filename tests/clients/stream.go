// Reads one streamed chat completion and one streamed response at once, and prints both texts as a JSON object.
//
// Usage: stream BASE_URL TOKEN, where BASE_URL ends in /v1.
package main

import (
	"context"
	"encoding/json"
	"os"
	"sync"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
)

func chat(client openai.Client) (text string, err error) {
	stream := client.Chat.Completions.NewStreaming(context.Background(), openai.ChatCompletionNewParams{
		Model:    "m",
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hi")},
	})
	for stream.Next() {
		for _, choice := range stream.Current().Choices {
			text += choice.Delta.Content
		}
	}
	return text, stream.Err()
}

func response(client openai.Client) (text string, err error) {
	stream := client.Responses.NewStreaming(context.Background(), responses.ResponseNewParams{
		Model: "m",
		Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("hi")},
	})
	for stream.Next() {
		if event := stream.Current(); event.Type == "response.output_text.delta" {
			text += event.Delta
		}
	}
	return text, stream.Err()
}

func main() {
	client := openai.NewClient(
		option.WithBaseURL(os.Args[1]), option.WithAPIKey(os.Args[2]), option.WithMaxRetries(0),
	)
	results := map[string]string{}
	var all sync.WaitGroup
	var lock sync.Mutex
	for name, read := range map[string]func(openai.Client) (string, error){
		"chat": chat, "responses": response,
	} {
		all.Add(1)
		go func() {
			defer all.Done()
			text, err := read(client)
			if err != nil {
				text = err.Error()
			}
			lock.Lock()
			results[name] = text
			lock.Unlock()
		}()
	}
	all.Wait()
	json.NewEncoder(os.Stdout).Encode(results)
}
