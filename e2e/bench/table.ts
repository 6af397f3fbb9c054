/** Prints only what the measurements print, so that the output is the table. */
import type { Reporter, TestCase, TestResult } from "@playwright/test/reporter";

export default class Table implements Reporter {
  onStdOut(chunk: string | Buffer): void {
    process.stdout.write(chunk);
  }

  onTestEnd(test: TestCase, result: TestResult): void {
    for (const error of result.errors) process.stderr.write(`${test.title}: ${error.stack ?? error.message ?? ""}\n`);
  }
}
