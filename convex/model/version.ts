/** Version of these functions: that of the package they come with. */
export const VERSION = '0.2.0';
