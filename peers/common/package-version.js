// The version that the health route reports: all packages of this workspace have the same one.

import { readFileSync } from 'node:fs';

export const { version } = JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8'));
