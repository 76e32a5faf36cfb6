/** Text, cut into lines. */

/** Lines without their ends; what follows the last end is a line, too, unless it is empty. */
export class TextLineStream extends TransformStream<string, string> {
  constructor() {
    let begun = "";
    super({
      transform: (text, controller) => {
        const lines = (begun + text).split("\n");
        begun = lines.pop() ?? "";
        for (const line of lines) controller.enqueue(line);
      },
      flush: (controller) => {
        if (begun !== "") controller.enqueue(begun);
      },
    });
  }
}
