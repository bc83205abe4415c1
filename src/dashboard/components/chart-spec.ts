/** A chart over sessions, as the page hands it to the script that draws it. */
export type ChartSpec = {
  /** `YYYY-MM-DD`, rising. */
  sessions: string[];
  series: {
    label: string;
    values: (number | null)[];
    /** Single points instead of a line. */
    points?: boolean;
    dashed?: boolean;
    /** Not shown before its label is chosen. */
    hidden?: boolean;
  }[];
  /** `share`: 0.5 is 50 %. */
  unit: 'number' | 'share';
};
