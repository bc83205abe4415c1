import type { FC } from 'hono/jsx';

/** Drawn, not written: which signs a font has differs from machine to machine. All on 16 × 16. */
const PATHS = {
  check: <path d="M3 8.500l3.500 3.500L13 4.500" />,
  cross: <path d="M4 4l8 8M12 4l-8 8" />,
  play: <path d="M5 3.500v9l7.500-4.500z" class="full" />,
  circle: <circle cx="8" cy="8" r="5" />,
  clock: <path d="M8 3a5 5 0 1 0 0.010 0M8 5v3.200l2.200 1.500" />,
  question: (
    <path d="M5.200 5.800a2.800 2.800 0 1 1 3.900 2.600c-0.800 0.400-1.100 0.800-1.100 1.600M8 12.700v0.200" />
  ),
  skip: <path d="M3 11.500a5 5 0 0 1 9.500-2M13 5.500v4.200H8.800" />,
  square: <rect x="4.500" y="4.500" width="7" height="7" class="full" />,
  minus: <path d="M4 8h8" />,
  half: (
    <>
      <circle cx="8" cy="8" r="5" />
      <path d="M8 3a5 5 0 0 0 0 10z" class="full" />
    </>
  ),
  dot: <circle cx="8" cy="8" r="1.500" class="full" />,
  glass: <path d="M4.500 3h7M4.500 13h7M5.500 3c0 3 5 3.500 5 5s-5 2-5 5M10.500 3c0 3-5 3.500-5 5s5 2 5 5" />,
  sun: (
    <path d="M8 5.300a2.700 2.700 0 1 0 0.010 0M8 1.500v1.500M8 13v1.500M1.500 8h1.500M13 8h1.500M3.500 3.500l1 1M11.500 11.500l1 1M3.500 12.500l1-1M11.500 4.500l1-1" />
  ),
  moon: <path d="M10 2.500a5.700 5.700 0 1 0 3.500 8.200A4.600 4.600 0 0 1 10 2.500z" />,
  up: <path d="M8 13V3.500M4 7.500l4-4 4 4" />,
  down: <path d="M8 3v9.500M4 8.500l4 4 4-4" />,
  left: <path d="M13 8H3.500M7.500 4l-4 4 4 4" />,
  right: <path d="M3 8h9.500M8.500 4l4 4-4 4" />,
  alarm: <path d="M8 2.500L14 13H2zM8 6.500v3M8 11.200v0.200" />,
} as const;
export type MarkName = keyof typeof PATHS;

/** All marks once in a page; `Mark` refers to them. */
export const MarkSheet: FC = () => (
  <svg width="0" height="0" class="mark-sheet" aria-hidden="true">
    {Object.entries(PATHS).map(([name, path]) => (
      <symbol id={`mark-${name}`} viewBox="0 0 16 16">
        {path}
      </symbol>
    ))}
  </svg>
);

export const Mark: FC<{ name: MarkName; size?: number; x?: number; y?: number }> = (props) => {
  const { name, size = 14, x, y } = props;
  return (
    <svg class="mark" width={size} height={size} x={x} y={y} aria-hidden="true" focusable="false">
      <use href={`#mark-${name}`} />
    </svg>
  );
};
