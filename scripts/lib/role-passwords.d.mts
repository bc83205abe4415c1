export const LOGIN_ROLES: string[];
export function rolePassword(ownerPassword: string, role: string): string;
